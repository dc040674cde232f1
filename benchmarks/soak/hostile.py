"""Rules that do harm, one of each kind, for the soak.

Each is a module of its own, whose rule is named `bad`. It is saved afresh each time that it is to
act, and then poked by an event with a number from 0 on.
"""

from typing import Final

from benchmarks.soak.kinds import Kind

__all__ = ["ENDING", "HOSTILE"]

_ERRORS: Final = 9

_FAILED: Final = ("rule.failed",)
_BLOCKS: Final = ("rule.blocks_loop",)
_IMPORT: Final = ("module.import_failed", "module.import_failed_again")


def _each(name: str, body: str) -> Kind:
    """Return a kind that raises each of the errors, one for each poke."""
    return Kind(name, body, _FAILED, pokes=_ERRORS, least=_ERRORS)


HOSTILE: Final = [
    Kind(
        "raises_at_import",
        "raise ERRORS[ACT % len(ERRORS)]('of a rule')",
        _IMPORT,
        saves=_ERRORS,
        pokes=0,
        least=_ERRORS,
        at_top=True,
    ),
    Kind(
        "raises_in_set_up",
        "raise ERRORS[ACT % len(ERRORS)]('of a rule')",
        _FAILED,
        saves=_ERRORS,
        pokes=0,
        least=_ERRORS,
    ),
    Kind(
        "raises_in_clean_up",
        """
        def fail():
            raise ERRORS[ACT % len(ERRORS)]('of a rule')
        scope.on_dispose(fail)""",
        _FAILED,
        saves=_ERRORS,
        pokes=0,
        least=_ERRORS - 1,
    ),
    _each(
        "raises_in_callback",
        """
        def fail(number):
            raise ERRORS[number]('of a rule')
        poked.on_event(fail)""",
    ),
    _each(
        "raises_in_node",
        """
        def fail(number):
            raise ERRORS[number]('of a rule')
        yarp.fn(fail)(poked).on_event(print)""",
    ),
    _each(
        "raises_in_task",
        """
        async def fail(number):
            raise ERRORS[number]('of a rule')
        await client.event_listen_cb(POKE, fail)""",
    ),
    _each(
        "raises_in_call_of_loop",
        """
        def fail(number):
            raise ERRORS[number]('of a rule')
        poked.on_event(lambda number: asyncio.get_running_loop().call_soon(fail, number))""",
    ),
    Kind(
        "raises_odd_texts",
        r"""
        class Odd:
            def __repr__(self):
                raise Own('of a repr')
        texts = ['\ud800', 'x' * 70_000, Odd(), nested(0, 5000), '\x1b[2J\n{"event": 1}']
        def fail(number):
            raise ValueError(texts[number])
        poked.on_event(fail)""",
        _FAILED,
        pokes=5,
        least=5,
    ),
    Kind("breaks_its_file", "light = = 2", _IMPORT, pokes=0, at_top=True),
    Kind("recurses", "poked.on_event(lambda n: (f := lambda: f())())", _FAILED),
    Kind("sleeps", "poked.on_event(lambda _: time.sleep(3600))", _BLOCKS),
    Kind("sleeps_in_set_up", "time.sleep(3600)", _BLOCKS, pokes=0),
    Kind("sleeps_at_import", "time.sleep(3600)", _BLOCKS, pokes=0, at_top=True),
    Kind(
        "loops",
        """
        def loop(_):
            while True:
                try:
                    while True: pass
                except Exception:
                    pass
        poked.on_event(loop)""",
        _BLOCKS,
    ),
    Kind("hangs_in_regex", "poked.on_event(lambda _: re.match('(a+)+$', 'a' * 64 + 'b'))", _BLOCKS),
    Kind(
        "hangs_in_lock",
        """
        async def hang(_):
            lock = threading.Lock()
            lock.acquire()
            lock.acquire()
        await client.event_listen_cb(POKE, hang)""",
        _BLOCKS,
    ),
    Kind("hogs_in_c", "poked.on_event(lambda _: sum(range(10**8)))", _BLOCKS),
    Kind(
        "floods_in_one_step",
        """
        event = yarp.Event()
        await yarp.state_register('/bad/count', yarp.len(yarp.time_window(event, 3600)))
        def flood(_):
            while True:
                event.emit(1)
        poked.on_event(flood)""",
        _BLOCKS,
    ),
    Kind(
        "floods_events",
        """
        await client.event_register('/bad/flood')
        async def flood(_):
            for number in range(20_000):
                asyncio.create_task(client.event_emit('/bad/flood', number))
                if number % 1000 == 999:
                    await asyncio.sleep(0)
        await client.event_listen_cb(POKE, flood)""",
    ),
    Kind(
        "floods_states",
        """
        state = await client.state_register('/bad/state')
        async def flood(_):
            for number in range(10_000):
                await state.changed('x' * 1000)
        await client.event_listen_cb(POKE, flood)""",
    ),
    Kind(
        "floods_log",
        """
        async def flood(_):
            for number in range(2_000):
                log.warning('flood ' + 'x' * 2_000)
                if number % 10 == 0:
                    await asyncio.sleep(0)
        await client.event_listen_cb(POKE, flood)""",
        ("flood",),
    ),
    Kind(
        "floods_stdout",
        "poked.on_event(lambda _: [print('flood ' + 'x' * 100_000) for _ in range(50)])",
    ),
    Kind(
        "floods_tasks",
        """
        async def step():
            for _ in range(5):
                await asyncio.sleep(0)
        poked.on_event(lambda _: [asyncio.create_task(step()) for _ in range(10_000)] and None)""",
    ),
    Kind(
        "hears_slowly",
        """
        await client.event_register('/bad/slow')
        async def flood(_):
            for _ in range(12):
                await asyncio.gather(*(client.event_emit('/bad/slow', n) for n in range(1000)))
        await client.event_listen_cb(POKE, flood)
        async for number in client.event_listen('/bad/slow'):
            await asyncio.sleep(10)""",
        ("events of",),
    ),
    Kind(
        "circles",
        """
        await client.event_register('/bad/round')
        heard = await yarp.event_listen('/bad/round')
        def again(_):
            asyncio.create_task(client.event_emit('/bad/round', 1))
        heard.on_event(again)
        poked.on_event(again)""",
        ("rule.loop_cut",),
    ),
    Kind(
        "fills_memory",
        """
        def fill(_):
            held = []
            while True:
                held.append(bytes(64 << 20))
        poked.on_event(fill)""",
        _FAILED,
    ),
    Kind(
        "grows_in_task",
        """
        async def grow(_):
            held = []
            for _ in range(100):
                held.append(b'x' * (4 << 20))
                await asyncio.sleep(0.01)
        await client.event_listen_cb(POKE, grow)""",
    ),
    Kind(
        "keeps_deep_values",
        """
        deep = keep('deep', ())
        poked.on_event(lambda number: setattr(deep, 'value', nested(deep.value, 100)))""",
        ("state.not_plain_data",),
        pokes=9,
        once=True,
    ),
    Kind(
        "keeps_odd_objects",
        """
        class Odd:
            def fail(self, *_):
                raise Own('of a method')
            __repr__ = __eq__ = __hash__ = __bool__ = __reduce_ex__ = fail
        odd = keep('odd', 0)
        def change(_):
            odd.value = [Odd()]
        poked.on_event(change)""",
        ("state.not_plain_data",),
        once=True,
    ),
    Kind(
        "publishes_deep_values",
        """
        state = await client.state_register('/bad/deep')
        async def publish(_):
            await state.changed(nested(1, 300))
        await client.event_listen_cb(POKE, publish)""",
        _FAILED,
    ),
    Kind("stops_loop", "poked.on_event(lambda _: asyncio.get_running_loop().stop())", _FAILED),
    Kind(
        "cancels_all",
        "poked.on_event(lambda _: [task.cancel() for task in asyncio.all_tasks()] and None)",
        _FAILED,
    ),
    Kind(
        "does_not_end",
        """
        async def stay():
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    pass
        asyncio.create_task(stay())""",
        ("rule.tasks_not_ending",),
        saves=2,
    ),
    Kind("closes_its_client", "await client.close()", pokes=0),
    Kind("forks", "poked.on_event(lambda _: os.fork() and None)"),
    Kind(
        "fills_executor",
        """
        def fill(_):
            for _ in range(40):
                asyncio.get_running_loop().run_in_executor(None, time.sleep, 5)
        poked.on_event(fill)""",
    ),
    Kind(
        "leaks_threads",
        """
        def leak(_):
            for _ in range(50):
                threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
        poked.on_event(leak)""",
    ),
    Kind(
        "spins_in_threads",
        """
        def spin():
            end = time.monotonic() + 2
            while time.monotonic() < end: pass
        def start(_):
            for _ in range(2):
                threading.Thread(target=spin, daemon=True).start()
        poked.on_event(start)""",
        ("loop.slowed_by_threads",),
        once=True,
    ),
    Kind(
        "hogs_in_thread",
        """
        def start(_):
            threading.Thread(target=sum, args=(range(4 * 10**7),), daemon=True).start()
        poked.on_event(start)""",
    ),
    Kind("sends_sighup", "poked.on_event(lambda _: os.kill(os.getpid(), signal.SIGHUP))"),
    Kind(
        "takes_signals",
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)""",
        pokes=0,
    ),
    Kind(
        "deletes_state",
        """
        def delete(_):
            shutil.rmtree(os.environ['SOAK_STATE'])
        poked.on_event(delete)""",
    ),
]
"""What the runner is to survive, and the other rules not to notice."""

ENDING: Final = [
    Kind("hogs_for_ever", "poked.on_event(lambda _: sum(range(10**12)))", ("rule.quarantined",)),
    Kind(
        "swallows_everything",
        """
        def stay(_):
            while True:
                try:
                    time.sleep(1)
                except BaseException:
                    pass
        poked.on_event(stay)""",
        ("rule.quarantined",),
    ),
    Kind("crashes", "poked.on_event(lambda _: ctypes.string_at(0))", ("rule.quarantined",)),
    Kind(
        "hogs_in_thread_for_ever",
        """
        def start(_):
            threading.Thread(target=sum, args=(range(10**12),), daemon=True).start()
        poked.on_event(start)""",
    ),
    Kind("exits", "poked.on_event(lambda _: os._exit(7))"),
    Kind("kills", "poked.on_event(lambda _: os.kill(os.getpid(), signal.SIGKILL))"),
]
"""What ends the process, which is started again; those that nothing can blame are not named."""
