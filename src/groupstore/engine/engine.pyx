"""Who may use which connection when: the turn to write, transactions, commits, forks.

A file that may be shared has one connection that writes, used by whoever holds the turn, and a
pool of connections that read. In memory, and where the file is ours alone, there is one
connection for both. An open transaction keeps the turn; its thread's other calls take part.

Nobody waits for the turn, or for SQLite, while holding the GIL.
"""

import os
import sys
import threading
import time

import apsw

cimport cython
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetInterrupt
from cpython.pythread cimport (
    NOWAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock,
    PyThread_get_thread_ident, PyThread_release_lock, PyThread_type_lock,
)
from cpython.pystate cimport PyThreadState, PyThreadState_Get
from cpython.ref cimport Py_INCREF
from libc.stdint cimport int64_t, uint64_t

from groupstore.engine.cache cimport Cache
from groupstore.engine.connection cimport Connection
from groupstore.engine.dispatch cimport Dispatcher
from groupstore.engine.event cimport Kind, new_event
from groupstore.engine.expiry cimport now_ms, now_us
from groupstore.engine.lock cimport (
    atomic_add, atomic_get, atomic_set, brief_acquire, brief_init, brief_release,
)
from groupstore.engine.statement cimport (
    BEGIN_WRITE, COMMIT, FOREIGN_TRIGGERS, RELEASE, ROLLBACK, ROLLBACK_TO, SAVEPOINT,
)
from groupstore.engine.wal_index cimport watch_commits
from groupstore.engine.write cimport Queue, Write, new_write
from groupstore.errors import (
    ReadOnlyError, StorageError, StoreBusyError, StoreClosedError, StoreError, from_sqlite,
)
from groupstore.log import logger


cdef extern from "pythread.h":
    int PyThread_acquire_lock_timed(PyThread_type_lock, long long, int) noexcept nogil


cdef extern from "Python.h":
    uint64_t PyThreadState_GetID(PyThreadState *) noexcept


cdef enum:
    # How long a wait for the turn goes without looking for signals and a closed store.
    WAIT_SLICE_US = 50_000
    NAP_US = 200
    # How often the file is looked for under its name.
    LOOK_MS = 500
    # How long a shared commit waits for the writers that the last one makes it expect: less than
    # most disks take, and only where there were several just now.
    COMPANY_US = 200
    # A checkpoint each 8 MiB, with SQLite's usual pages. Its default of 4 MiB makes the writers
    # beside it meet a busy disk more than once in a thousand commits; with 16 the log passed 64
    # where the checkpoint's thread had to wait for a processor.
    CHECKPOINT_FRAMES = 2000
    # Where each commit waits for the disk, that is no matter, but the file's growth is: until the
    # log is used anew, each sync has the file system write the new length too.
    DURABLE_CHECKPOINT_FRAMES = 1000
    # Connections that are kept for the next readers: each has a page cache, and three files open.
    MOST_IDLE = 16
    # How much, 16 MiB, they may be held up for. More is copied beside them first.
    MOST_HELD_FRAMES = 4000
    CHECKPOINT_ATTEMPTS = 20
    # Beyond so many changed keys in one transaction it is cheaper to fill the cache anew.
    MOST_CHANGES = 20_000


cdef enum State:
    FRESH
    OPEN
    # Rolled back on request: the rest of the block runs, then it is left quietly.
    UNDONE
    ENDED


cdef dict modules = sys.modules

# Held for ever: a wait for it is a nap in which no signal handler runs.
cdef PyThread_type_lock nap_lock = PyThread_allocate_lock()
PyThread_acquire_lock(nap_lock, NOWAIT_LOCK)


cdef int nap() noexcept:
    with nogil:
        PyThread_acquire_lock_timed(nap_lock, NAP_US, 0)
    return 0


cdef uint64_t current_thread() noexcept:
    """A number that no other thread ever has, unlike the system's, which are used again."""
    return PyThreadState_GetID(PyThreadState_Get())


cdef int see_later(object error) noexcept:
    """Have Ctrl-C, which came where it cannot be let through, come again."""
    if isinstance(error, KeyboardInterrupt):
        PyErr_SetInterrupt()
    return 0


cdef object running_task():
    """The asyncio task that this thread is running, if any."""
    asyncio = modules.get("asyncio")
    # None also while another thread is still importing it: then there is no task yet.
    get_loop = getattr(asyncio, "_get_running_loop", None)
    if get_loop is None or get_loop() is None:
        return None
    return asyncio.current_task()


@cython.final
cdef class Block:
    """A transaction, or a savepoint inside one."""

    def __cinit__(self, Engine engine not None):
        self.engine = engine
        self.state = FRESH

    cdef object unusable(self, str verb):
        """Why a call through this block cannot be served."""
        if self.engine.orphaned is not None:
            return StoreError(f"{verb}: {self.engine.orphaned}")
        if self.state == FRESH:
            reason = "the transaction has not been entered"
        elif self.state == UNDONE:
            reason = "the transaction was rolled back"
        elif self.state == ENDED:
            reason = "the transaction has ended"
        else:
            reason = "the transaction belongs to another thread"
        return StoreError(f"{verb}: {reason}")

    cdef int enter(self) except -1:
        cdef Engine engine = self.engine
        cdef Connection connection
        if self.state != FRESH:
            raise StoreError("transaction: a transaction can be entered only once")
        if engine.read_only:
            raise ReadOnlyError(f"transaction: {engine.path} was opened read-only")
        connection = engine.begin(None, True, "transaction")
        try:
            if connection.hold & TURN:
                engine.owner_task = running_task()
            engine.blocks.append(self)
        except BaseException:
            engine.abandon(connection)
            raise
        if connection.hold & TURN:
            # Nobody commits while the block is open, so readers need not be wary till its end.
            engine.cache.adopt()
            engine.cache.end_commit()
        self.thread = current_thread()
        self.native_thread = PyThread_get_thread_ident()
        self.staged_before = engine.staged_before
        engine.busy_with = None
        engine.leave_sqlite()
        self.state = OPEN
        return 0

    cdef int leave(self, bint failed) except -1:
        """End the block: commit, or roll back where it `failed`."""
        cdef Engine engine = self.engine
        if self.state == UNDONE:
            self.state = ENDED
            return 0
        if engine.orphaned is not None:
            self.state = ENDED
        if self.state != OPEN:
            if failed:
                return 0
            raise self.unusable("commit")
        if self.thread != current_thread():
            if not self.is_abandoned():
                raise self.unusable("commit")
            self.finish_leaving(True)
            if not failed:
                raise StoreError("commit: rolled back, as the transaction's thread has ended")
            return 0
        if running_task() is not engine.owner_task:
            # The block cannot be left a second time, so it is rolled back here.
            self.finish_leaving(True)
            if not failed:
                raise StoreError("commit: rolled back, as the transaction belongs to another task")
            return 0
        return self.finish_leaving(failed)

    cdef int finish_leaving(self, bint failed) except -1:
        cdef Engine engine = self.engine
        if engine.is_lost():
            self.bury()
            if not failed:
                raise StoreError(
                    "commit: the transaction was rolled back by an earlier error; "
                    "nothing of it was kept"
                )
            return 0
        engine.enter_sqlite("commit")
        if engine.blocks[0] is self:
            return self.end_transaction(failed)
        return self.end_savepoint(failed)

    cdef bint is_abandoned(self) except -1:
        """Whether the block's thread has died with the block open, in a generator say.

        Its roll-back then falls to whichever thread collects what is left of it.
        """
        for thread in threading.enumerate():
            if thread.ident == self.native_thread:
                return False
        return True

    cdef int roll_back(self) except -1:
        cdef Engine engine = self.engine
        if self.state != OPEN or engine.owner != current_thread():
            raise self.unusable("rollback")
        engine.check_joined(self, "rollback")
        cdef list undone = engine.blocks[engine.blocks.index(self):]
        cdef Block block
        engine.enter_sqlite("rollback")
        if engine.blocks[0] is self:
            self.end_transaction(True)
        else:
            self.end_savepoint(True)
        for block in undone:
            block.state = UNDONE
        return 0

    cdef int end_inner(self) except -1:
        """Undo the blocks inside this one that were never left, as in a forgotten generator."""
        cdef Engine engine = self.engine
        cdef Block block
        while engine.blocks[len(engine.blocks) - 1] is not self:
            block = engine.blocks.pop()
            engine.writer.run(ROLLBACK_TO, "rollback")
            engine.writer.run(RELEASE, "rollback")
            engine.unstage(block.staged_before)
            engine.changes_known = False
            block.state = ENDED
        return 0

    cdef int end_savepoint(self, bint failed) except -1:
        cdef Engine engine = self.engine
        try:
            self.end_inner()
            if failed:
                engine.writer.run(ROLLBACK_TO, "rollback")
                engine.unstage(self.staged_before)
                engine.changes_known = False
            engine.writer.run(RELEASE, "commit")
            engine.blocks.pop()
            self.state = ENDED
        finally:
            engine.leave_sqlite()
        return 0

    cdef int end_transaction(self, bint failed) except -1:
        cdef Engine engine = self.engine
        try:
            if failed:
                engine.writer.run(ROLLBACK, "rollback")
            else:
                self.end_inner()
                engine.cache.begin_commit()
                engine.writer.run(COMMIT, "commit")
                engine.settle_cache()
        except BaseException:
            failed = True
            if engine.cache.is_alone:
                engine.cache.forget_all()
            if engine.writer.in_transaction():
                engine.writer.run(ROLLBACK, "rollback")
            raise
        finally:
            if failed:
                engine.unstage(0)
            try:
                self.bury_blocks()
            finally:
                engine.release()
        return 0

    cdef int bury_blocks(self) except -1:
        cdef Engine engine = self.engine
        cdef Block block
        for block in engine.blocks:
            block.state = ENDED
        engine.blocks = []
        engine.owner_task = None
        return 0

    cdef int bury(self) except -1:
        """Leave a block of a transaction that SQLite has rolled back by itself."""
        cdef Engine engine = self.engine
        if engine.blocks[0] is not self:
            engine.blocks.remove(self)
            self.state = ENDED
            return 0
        engine.unstage(0)
        engine.enter_sqlite("rollback")
        self.bury_blocks()
        engine.release()
        return 0


@cython.final
cdef class Engine:

    def __cinit__(self, database):
        cdef Connection first
        self.database = database
        self.config = database.config
        self.path = database.path
        self.shared = database.shared
        self.counted = database.counted
        self.read_only = self.config.read_only
        self.dispatcher = Dispatcher()
        brief_init(&self.idle_lock)
        self.blocks = []
        self.staged = []
        self.lent = {}
        self.turn = PyThread_allocate_lock()
        if self.turn is NULL:
            raise MemoryError
        self.queue = Queue()
        self.main_thread = threading.main_thread().ident
        self.changes = []
        self.changes_known = True
        self.cache = Cache(self.config.cache_size, not self.shared)
        # In memory there is nobody who could have put a trigger there.
        self.cache.triggers_known = self.path == ":memory:"
        self.checkpoint_frames = CHECKPOINT_FRAMES
        self.long_frames = 2 * CHECKPOINT_FRAMES
        if self.config.durability == "full":
            self.checkpoint_frames = self.long_frames = DURABLE_CHECKPOINT_FRAMES
        self.shares_commits = self.path != ":memory:" and self.config.durability == "full"
        if self.path != ":memory:":
            status = os.stat(self.path)
            self.identity = status.st_dev, status.st_ino
            self.looked_for_ms = now_ms()
        first = self.connection_to(database.first)
        self.use_header(first)
        if self.read_only:
            self.keep_idle(first)
        else:
            self.set_writer(first)

    def __dealloc__(self):
        if self.turn is not NULL:
            PyThread_free_lock(self.turn)

    cdef Connection connection_to(self, apsw_connection):
        return Connection(
            apsw_connection, self.counted, self.path != ":memory:", self.path,
            self.config.busy_timeout,
        )

    # Entering and leaving SQLite.

    cdef int enter_sqlite(self, str verb) except -1:
        """Count this thread in; from here until `leave_sqlite` no fork and no close happens."""
        atomic_add(&self.inside, 1)
        if atomic_get(&self.suspended) or atomic_get(&self.closed) or self.orphaned is not None:
            self.wait_at_entrance(verb)
        return 0

    cdef int wait_at_entrance(self, str verb) except -1:
        while True:
            atomic_add(&self.inside, -1)
            if self.orphaned is not None:
                raise StoreError(f"{verb}: {self.orphaned}")
            if atomic_get(&self.closed):
                raise StoreClosedError(f"{verb}: the store {self.path} is closed")
            nap()
            atomic_add(&self.inside, 1)
            if not atomic_get(&self.suspended) and not atomic_get(&self.closed):
                return 0

    cdef int leave_sqlite(self) noexcept:
        atomic_add(&self.inside, -1)
        return 0

    cdef int wait_until_empty(self) except -1:
        """Wait for the calls that are inside SQLite, but for this thread's own."""
        cdef long own = self.lent.get(current_thread(), 0) + self.is_reentered()
        while atomic_get(&self.inside) > own:
            nap()
        return 0

    cdef bint is_reentered(self) except -1:
        """Whether this thread is inside a call already, of which a signal handler is part."""
        return self.owner == current_thread() and self.busy_with is not None and (
            not self.lent.get(current_thread(), 0)
        )

    def check_open(self, str verb):
        """Raise `StoreClosedError` where the store is closed, `StoreError` in an orphaned child."""
        if self.orphaned is not None:
            raise StoreError(f"{verb}: {self.orphaned}")
        if atomic_get(&self.closed):
            raise StoreClosedError(f"{verb}: the store {self.path} is closed")

    @property
    def waiting_now(self):
        """How many threads wait for the turn, or for another to do their write."""
        return self.queue.length()

    @property
    def is_closed(self):
        return atomic_get(&self.closed) != 0

    # The turn.

    cdef bint take_turn_at_once(self) except -1:
        if not PyThread_acquire_lock(self.turn, NOWAIT_LOCK):
            return False
        self.owner = current_thread()
        return True

    cdef int take_turn(self, str verb) except -1:
        if not self.take_turn_at_once():
            self.await_turn(new_write(NULL, verb, None, None, None))
        return 0

    cdef bint await_turn(self, Write write) except -1:
        """Queue up: True once another thread has done the write, False with the turn to do it."""
        cdef double timeout_s = self.config.busy_timeout
        cdef double deadline = time.monotonic() + timeout_s
        write.make_gate()
        self.queue.put(write)
        while True:
            # The turn may have been given back before there was anybody in the queue.
            if self.take_turn_at_once() or write.wait(self.turn, WAIT_SLICE_US):
                self.owner = current_thread()
                if self.queue.drop(write):
                    return False
                self.give_turn()
            if write.is_done:
                write.wake_next()
                return True
            if write.has_turn:
                self.owner = current_thread()
                return False
            # Passed over meanwhile, as a handler of a signal may come back here, and would wait for
            # this thread's turn. Not where somebody is doing it already.
            if self.queue.step_aside(write, True):
                if self.take_turn_at_once():
                    # It was free, and this thread perhaps the one that was called: so is the next.
                    self.give_turn()
                try:
                    self.check_open(write.verb)
                    PyErr_CheckSignals()
                    if time.monotonic() >= deadline:
                        raise StoreBusyError(
                            f"{write.verb}: another thread kept {self.path} locked for "
                            f"{timeout_s} s"
                        )
                except BaseException:
                    self.queue.drop(write)
                    raise
                self.queue.step_aside(write, False)

    cdef int give_turn(self) except -1:
        self.owner = 0
        if self.queue.first is not None and self.queue.hand_over():
            return 0
        PyThread_release_lock(self.turn)
        if self.queue.first is not None:
            self.queue.call_first()
        return 0

    cdef int release(self) except -1:
        """Leave SQLite and give the turn back.

        What was staged is put into the watchers' rings before, for the order, and the callbacks
        are called after it.
        """
        cdef list wakes = None
        cdef list events = None
        cdef bint has_grown = self.watch_log()
        try:
            self.forget_changes()
            if self.staged:
                wakes = []
                events = self.deliver_staged(wakes)
        finally:
            self.leave_sqlite()
            self.busy_with = None
            self.give_turn()
        if has_grown:
            wakes = wakes or []
            wakes.append(self.on_log_growth)
        if events or wakes:
            self.announce(events or [], wakes)
        return 0

    cdef int announce(self, list events, list wakes) except -1:
        """Wake whom the events reached and call the callbacks, with no lock held."""
        interrupt = None
        for wake in wakes:
            try:
                wake()
            except BaseException as error:
                # Ctrl-C in a loop's wake-up: the others are woken all the same.
                interrupt = error
        if interrupt is not None:
            raise interrupt
        return self.dispatcher.call_back(events)

    # Borrowing a connection to read.

    cdef bint is_lost(self) noexcept:
        """Whether SQLite has rolled the open transaction back by itself, on a full disk say."""
        return not self.writer.in_transaction()

    cdef int check_joined(self, Block block, str verb) except -1:
        """Check that a call by the thread that holds the turn may take part."""
        # A signal handler may call while its thread closes the store.
        self.check_open(verb)
        if self.busy_with is not None:
            raise StoreError(f"{verb}: this thread is in the middle of {self.busy_with!r}")
        if block is not None and block.state != OPEN:
            raise block.unusable(verb)
        if running_task() is not self.owner_task:
            raise StoreError(f"{verb}: another task of this thread has a transaction open")
        if self.is_lost():
            raise StoreError(f"{verb}: the transaction was rolled back by an earlier error")
        return 0

    cdef Connection open_connection(self):
        """One more connection to the file: there is nothing idle, or the process was forked."""
        if self.is_new_child:
            self.is_new_child = False
            if self.on_child is not None:
                self.on_child()
        # Python code runs here, and with it signal handlers: they must not wait for this thread.
        self.lend(1)
        try:
            connection = self.connection_to(self.database.connect())
        finally:
            self.lend(-1)
        # By its name another file may have been opened than the one that the store began with.
        self.look_for_file("open")
        self.use_header(connection)
        return connection

    cdef int use_header(self, Connection connection) except -1:
        """Have the cache compare the header that a connection to the file has mapped."""
        if self.shared and not self.database.immutable:
            self.cache.attach(connection.raw)
        return 0

    cdef int set_writer(self, Connection connection) except -1:
        self.writer = connection
        if self.shared:
            # The cache lives as long as the engine, and so longer than the connection.
            watch_commits(connection.raw, &self.cache.last_commit)
        return 0

    cdef int open_writer(self) except -1:
        if self.writer is None:
            self.set_writer(self.open_connection())
        return 0

    cdef int check_in_place(self, str verb) except -1:
        """Raise `StorageError` once the file was moved, deleted or replaced under the store."""
        cdef int64_t now
        if self.identity is None:
            return 0
        now = now_ms()
        if self.looked_for_ms <= now < self.looked_for_ms + LOOK_MS:
            return 0
        self.look_for_file(verb)
        # Only where it was found: otherwise the next call looks again, and raises again.
        self.looked_for_ms = now
        return 0

    cdef int look_for_file(self, str verb) except -1:
        try:
            status = os.stat(self.path)
        except OSError as error:
            raise StorageError(f"{verb}: {self.path}: the file is gone: {error}") from error
        if (status.st_dev, status.st_ino) != self.identity:
            raise StorageError(f"{verb}: {self.path}: another file has taken this one's place")
        return 0

    cdef Connection borrow(self, Block block, str verb):
        """A connection to read by, for `give_back`; in a transaction the one that sees it."""
        cdef Connection connection
        if self.owner == current_thread():
            self.check_joined(block, verb)
            self.enter_sqlite(verb)
            self.busy_with = verb
            self.writer.hold = JOINED
            return self.writer
        if block is not None:
            raise block.unusable(verb)
        if not self.shared:
            self.take_turn(verb)
            self.busy_with = verb
        try:
            self.enter_sqlite(verb)
        except BaseException:
            if not self.shared:
                self.busy_with = None
                self.give_turn()
            raise
        try:
            self.check_in_place(verb)
            if self.shared:
                connection = self.idle_connection()
        except BaseException:
            self.leave_sqlite()
            if not self.shared:
                self.busy_with = None
                self.give_turn()
            raise
        if not self.shared:
            self.writer.hold = TURN
            return self.writer
        connection.hold = 0
        return connection

    cdef Connection idle_connection(self):
        cdef Connection connection = self.take_idle()
        return self.open_connection() if connection is None else connection

    # A chain through the connections: taking from a list and putting back may allocate.

    cdef Connection take_idle(self):
        cdef Connection connection
        brief_acquire(&self.idle_lock)
        connection = self.idle
        if connection is not None:
            self.idle = connection.next_idle
            connection.next_idle = None
            self.idle_count -= 1
        brief_release(&self.idle_lock)
        return connection

    cdef bint keep_idle(self, Connection connection) noexcept:
        """Keep a connection for the next reader; False where there are enough of them."""
        cdef bint fits
        brief_acquire(&self.idle_lock)
        fits = self.idle_count < MOST_IDLE
        if fits:
            connection.next_idle = self.idle
            self.idle = connection
            self.idle_count += 1
        brief_release(&self.idle_lock)
        return fits

    cdef int give_back(self, Connection connection) except -1:
        connection.settle()
        if connection.hold == 0:
            try:
                if not self.keep_idle(connection):
                    connection.close()
            finally:
                self.leave_sqlite()
            return 0
        self.busy_with = None
        self.leave_sqlite()
        if connection.hold & TURN:
            self.give_turn()
        return 0

    # Holding the connection that writes.

    cdef Connection begin(self, Block block, bint several, str verb):
        """The writing connection, for `finish` or `abandon`.

        One statement commits by itself; for `several` there is a transaction around them, or a
        savepoint within the open one.
        """
        if self.owner == current_thread():
            self.check_joined(block, verb)
            self.enter_sqlite(verb)
            self.writer.hold = JOINED
        else:
            if block is not None:
                raise block.unusable(verb)
            self.take_turn(verb)
            self.hold_writer(verb)
        return self.open_bracket(several, verb)

    cdef Connection begin_at_once(self, Block block, str verb):
        """As `begin` for one statement, but None where that would have to wait for a thread."""
        if self.owner == current_thread():
            return self.begin(block, False, verb)
        if not self.take_turn_at_once():
            return None
        self.hold_writer(verb)
        return self.open_bracket(False, verb)

    cdef int hold_writer(self, str verb) except -1:
        """Enter SQLite with the turn just taken; on an error it is given back."""
        # First of all: a signal handler or finaliser may call the store from in here.
        self.busy_with = verb
        try:
            self.enter_sqlite(verb)
            try:
                self.check_in_place(verb)
                self.open_writer()
            except BaseException:
                self.leave_sqlite()
                raise
        except BaseException:
            self.busy_with = None
            self.give_turn()
            raise
        self.writer.hold = TURN
        self.writer.failed = False
        self.cache.begin_commit()
        self.commits += 1
        return 0

    cdef Connection open_bracket(self, bint several, str verb):
        cdef Connection writer = self.writer
        self.busy_with = verb
        self.staged_before = len(self.staged)
        if several:
            try:
                writer.run(SAVEPOINT if writer.hold & (JOINED | SHARING) else BEGIN_WRITE, verb)
            except BaseException:
                self.abandon(writer)
                raise
            writer.hold |= BRACKET
        return writer

    cdef int finish(self, Connection writer) except -1:
        """Commit what was done since `begin`, and tell those who watch."""
        writer.settle()
        if writer.hold & BRACKET:
            try:
                writer.count_rows()
                writer.run(RELEASE if writer.hold & (JOINED | SHARING) else COMMIT, "commit")
            except BaseException:
                self.abandon(writer)
                raise
        if writer.hold & JOINED:
            self.busy_with = None
            self.leave_sqlite()
            return 0
        if writer.hold & SHARING:
            return 0
        self.settle_cache()
        return self.release()

    cdef int abandon(self, Connection writer) except -1:
        """Undo what was done since `begin`."""
        writer.settle()
        self.unstage(self.staged_before)
        self.changes_known = False
        if not writer.hold & BRACKET:
            # Memory may have run out between the statement and the note of what it changed.
            self.changes_lost = True
        if self.cache.is_alone and (writer.failed or not writer.hold & BRACKET):
            # There is no header that would tell what became of the commit: a statement by itself
            # may have been committed before memory ran out, say.
            self.cache.forget_all()
        try:
            writer.count_rows()
            if writer.hold & BRACKET and writer.in_transaction():
                if writer.hold & (JOINED | SHARING):
                    self.undo_bracket(writer)
                else:
                    writer.run(ROLLBACK, "rollback")
        finally:
            if writer.hold & JOINED:
                self.busy_with = None
                self.leave_sqlite()
            elif not writer.hold & SHARING:
                self.release()
        return 0

    cdef int unstage(self, Py_ssize_t before) noexcept:
        """Drop the events that were noted since there were `before`; allocates nothing."""
        cdef Py_ssize_t index
        for index in range(before, len(self.staged)):
            self.staged[index] = None
        try:
            del self.staged[before:]
        except MemoryError:
            # Those left are passed over.
            pass
        return 0

    cdef int undo_bracket(self, Connection writer) except -1:
        try:
            writer.run(ROLLBACK_TO, "rollback")
            writer.run(RELEASE, "rollback")
        except BaseException:
            # What is half done must not be committed with the rest.
            if writer.in_transaction():
                writer.run(ROLLBACK, "rollback")
            raise
        return 0

    # Doing a write, perhaps for another thread.

    cdef object perform(self, Write write, Block block):
        """Do a write in a transaction, and return what it returned once it is committed."""
        if self.shares_commits and block is None and not write.is_long and (
            self.owner != current_thread()
        ):
            return self.share_commit(write)
        return self.carry_out(write, self.begin(block, write.several, write.verb))

    cdef object carry_out(self, Write write, Connection writer):
        try:
            write.result = write.body(write, writer)
        except BaseException:
            self.abandon(writer)
            raise
        self.finish(writer)
        return write.result

    cdef object share_commit(self, Write write):
        """Do a write so that writes of several threads wait for the disk once.

        Who finds the turn taken queues his write up. Who has the turn does all that are queued in
        one transaction, commits it, and wakes those that they belong to. So a write costs its
        thread one wait, and where nobody else is about it commits by itself.
        """
        if not self.take_turn_at_once():
            self.expected_members = max(self.expected_members, 2)
            if self.await_turn(write):
                return self.outcome(write)
        self.hold_writer(write.verb)
        # Handlers of signals run in the main thread. It does nobody else's write, which would be
        # interrupted by what is meant for it.
        if (self.queue.first is not None or self.expected_members > 1) and (
            self.main_thread != PyThread_get_thread_ident()
        ):
            self.lead(write)
            return self.outcome(write)
        return self.carry_out(write, self.open_bracket(write.several, write.verb))

    cdef int lead(self, Write own) except -1:
        """Do a write and those in the queue in one transaction, with the turn held, and give it."""
        cdef list wakes
        try:
            self.writer.run(BEGIN_WRITE, own.verb)
        except BaseException:
            self.writer.settle()
            self.release()
            raise
        # The header stands still from here on: readers need not be wary until the commit.
        self.cache.adopt()
        self.cache.end_commit()
        try:
            self.expected_members = self.serve_all(own)
        finally:
            wakes = self.commit_shared(own)
        if wakes:
            self.announce([], wakes)
        return 0

    cdef Py_ssize_t serve_all(self, Write own) except -1:
        """Do the writes, and chain them up in their order; how many there were."""
        cdef Write last = own
        cdef Write following
        cdef Py_ssize_t members = 1
        cdef bint has_waited = False
        self.serve(own)
        # Not after an error at which SQLite has rolled all of it back.
        while self.writer.in_transaction():
            following = self.queue.take()
            if following is not None:
                last.next = following
                last = following
                members += 1
                self.serve(following)
                if following.error is not None:
                    # Not what this thread is handling just now.
                    following.error.__context__ = following.error.__cause__
            elif has_waited or members >= self.expected_members or (
                self.queue.first is not None or atomic_get(&self.suspended)
            ):
                break
            else:
                self.queue.await_company(self.expected_members - members, COMPANY_US)
                has_waited = True
        return members

    cdef int serve(self, Write write) except -1:
        """Do one write in the shared transaction; where it fails, it alone."""
        cdef Connection writer = self.writer
        writer.hold = TURN | SHARING
        writer.failed = False
        try:
            self.carry_out(write, self.open_bracket(write.several, write.verb))
        except BaseException as error:
            write.error = error
            return 0
        if len(self.staged) > self.staged_before:
            try:
                write.events = self.staged[self.staged_before:]
            except MemoryError:
                # The callbacks are not called; the commit must go on, told of or not.
                try:
                    logger().error("on_change: no memory for the events of %s", write.verb)
                except MemoryError:
                    pass
        return 0

    cdef list commit_shared(self, Write own):
        """Commit, give the turn back, wake whose writes these were, and return whom else to wake.

        What keeps it from being committed is told to each of them.
        """
        cdef list wakes = None
        cdef object failure = None
        self.busy_with = "commit"
        try:
            if not self.writer.in_transaction():
                raise StoreError("the transaction was rolled back by an earlier error")
            self.cache.begin_commit()
            self.writer.run(COMMIT, "commit")
            self.settle_cache()
        except BaseException as error:
            failure = error
            see_later(error)
            self.unstage(0)
            if self.cache.is_alone:
                self.cache.forget_all()
            if self.writer.in_transaction():
                self.writer.run(ROLLBACK, "rollback")
        finally:
            self.writer.settle()
            try:
                wakes = []
                self.forget_changes()
                if self.watch_log():
                    wakes.append(self.on_log_growth)
                self.deliver_staged(wakes)
            finally:
                self.leave_sqlite()
                self.busy_with = None
                own.end_all(failure)
                self.give_turn()
                own.wake_next()
        return wakes

    cdef object outcome(self, Write write):
        """What a write has come to, in the thread that it belongs to."""
        if write.error is not None:
            raise write.error
        if write.commit_error is not None:
            error = write.commit_error
            kind = type(error) if isinstance(error, StoreError) else StoreError
            raise kind(
                f"{write.verb}: rolled back, as the commit that it shared with other threads "
                f"failed: {error}"
            ) from error
        if write.events is not None:
            self.dispatcher.call_back(write.events)
        return write.result

    cdef list deliver_staged(self, list wakes):
        """Put what was noted into the watchers' rings, and return it."""
        cdef list events = self.staged
        if events:
            self.staged = []
            self.dispatcher.deliver(events, wakes)
        return events

    cdef int stage(self, Kind kind, str group, str key, object value) except -1:
        """Note an event, to be delivered when what it tells of is committed."""
        if self.dispatcher.wanted(group):
            self.staged.append(new_event(kind, group, key, value, now_us()))
        return 0

    # Having the cache follow.

    cdef int note_change(self, object change, Py_ssize_t keys) except -1:
        """Note what the transaction under way has changed, as `Cache.commit` takes it."""
        if self.cache.capacity_bytes == 0:
            return 0
        self.changed_keys += keys
        if self.changed_keys > MOST_CHANGES:
            self.changes = []
            change = None
        self.changes.append(change)
        return 0

    cdef int settle_cache(self) except -1:
        """After a commit, with the turn still held."""
        if self.changes_lost:
            self.cache.forget_all()
        if not self.cache.triggers_known:
            self.look_for_triggers()
        return self.cache.commit(self.changes, self.changes_known)

    cdef int look_for_triggers(self) except -1:
        """Find out whether another program's triggers change more than our statements say."""
        cdef Cache cache = self.cache
        cdef sqlite3_stmt *statement
        # Otherwise everything is forgotten anyhow.
        if not cache.is_alone and not cache.last_commit.began_at_sample:
            return 0
        try:
            statement = self.writer.statement(FOREIGN_TRIGGERS)
            cache.exact = not self.writer.next_row(statement, "commit")
            cache.triggers_known = True
        except BaseException as error:
            # The commit has happened; not to know is to forget what is cached.
            logger().debug("no look at the triggers", exc_info=True)
            see_later(error)
        self.writer.settle()
        return 0

    cdef int forget_changes(self) except -1:
        if self.changes:
            # Until there is a new list: what is in the old one must not be taken for new.
            self.changes_known = False
            self.changes = []
        self.changed_keys = 0
        self.changes_known = True
        self.changes_lost = False
        self.cache.end_commit()
        return 0

    # The log.

    cdef bint watch_log(self) noexcept:
        """Whether the log has grown enough since the last checkpoint to ask for one."""
        cdef int frames = self.cache.last_commit.frames
        if self.checkpoint_is_due or self.on_log_growth is None:
            return False
        # Fewer than at the checkpoint: the log has begun anew.
        if frames - self.checkpointed_frames * (frames >= self.checkpointed_frames) < (
            self.checkpoint_frames
        ):
            return False
        self.checkpoint_is_due = True
        return True

    def checkpoint_log(self):
        """Copy what readers allow from the log into the database, beside the writers.

        Where the log is long, they are held up for what they wrote meanwhile: only when all is
        copied can it begin anew. Where a reader, or another process, is in the way, nobody waits
        for it.
        """
        # Where it fails, the next one is due when the log has grown by as much again.
        self.checkpointed_frames = self.cache.last_commit.frames
        try:
            with self.read("checkpoint") as connection:
                frames, copied = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                if self.long_frames <= frames == copied:
                    # Once more, as it is quick now, lest the writers wait for long.
                    frames, copied = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            if self.long_frames <= frames:
                if copied > frames - MOST_HELD_FRAMES:
                    frames = self.finish_checkpoint()
            self.checkpointed_frames = frames
        finally:
            self.checkpoint_is_due = False

    def finish_checkpoint(self):
        """Copy the end of the log while nobody writes; how many frames the log has.

        The turn keeps out this process's writers, and SQLite's lock those of others. Where they
        keep that, they are asked for it a few times only.
        """
        cdef Connection writer
        writer = self.begin(None, False, "checkpoint")
        frames = self.cache.last_commit.frames
        try:
            for _ in range(CHECKPOINT_ATTEMPTS):
                try:
                    frames, _ = writer.apsw.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_FULL)
                    break
                except apsw.BusyError:
                    nap()
        except apsw.Error as error:
            raise from_sqlite(error, "checkpoint", self.path) from error
        finally:
            self.finish(writer)
        return frames

    # Lending connections to Python code.

    cdef int lend(self, int difference) except -1:
        thread = current_thread()
        self.lent[thread] = self.lent.get(thread, 0) + difference
        return 0

    def write(self, attempted, *, spares_entries=False):
        """A context manager that gives the writing `apsw.Connection` inside a transaction.

        It joins this thread's open transaction as a savepoint. `attempted` starts the message of
        an error. `spares_entries`: nothing in the table of entries is changed, so that what is
        cached of it stays good.
        """
        return _Writing(self, attempted, spares_entries)

    def read(self, attempted):
        """A context manager that gives an `apsw.Connection` to read by, for its length alone."""
        return _Reading(self, attempted)

    def alone(self, attempted):
        """A context manager that gives the writing `apsw.Connection` outside of a transaction."""
        return _Alone(self, attempted)

    def refuse_in_transaction(self, attempted):
        """Raise `StoreError` where this thread has a transaction open."""
        if self.owner == current_thread():
            raise StoreError(f"{attempted}: not possible inside a transaction")

    # Closing and forking.

    def close(self):
        """Close every connection once no call is inside; False where it was closed before."""
        if atomic_get(&self.closed):
            return False
        if self.orphaned is not None:
            atomic_set(&self.closed, 1)
            return True
        self.refuse_in_transaction("close")
        try:
            self.take_turn("close")
        except StoreClosedError:
            # By another thread, which this one waited for.
            return False
        if atomic_get(&self.closed):
            self.give_turn()
            return False
        atomic_set(&self.closed, 1)
        try:
            self.wait_until_empty()
            try:
                self.dispatcher.close_watchers()
            finally:
                # Whatever the waking of consumers has raised.
                self.close_connections()
        finally:
            self.give_turn()
        return True

    cdef int close_connections(self) except -1:
        self.cache.detach()
        self.close_idle()
        if self.writer is not None:
            if self.path != ":memory:":
                self.checkpoint()
            self.writer.close()
        return 0

    def checkpoint(self):
        """Copy the WAL into the database as far as readers allow, without waiting for them."""
        try:
            self.writer.apsw.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.BusyError:
            # Another process is at it.
            pass
        except apsw.Error as error:
            # Nothing is lost: what is committed stays in the WAL.
            logger().warning("close: the checkpoint of %s failed: %s", self.path, error)

    def close_idle(self):
        cdef Connection connection = self.take_idle()
        while connection is not None:
            connection.close()
            connection = self.take_idle()

    def before_fork(self):
        """Wait until no call is inside SQLite, and close what the child must not inherit.

        A connection that has a transaction open, and the only one to a database, has to stay.
        """
        atomic_set(&self.suspended, 1)
        self.wait_until_empty()
        if atomic_get(&self.closed) or self.orphaned is not None or not self.shared:
            return
        self.cache.detach()
        self.close_idle()
        if self.writer is not None and not self.blocks and not self.lent_now() and (
            not self.is_reentered()
        ):
            self.writer.close()
            self.writer = None

    def lent_now(self):
        return any(self.lent.values())

    def after_fork_in_parent(self):
        atomic_set(&self.suspended, 0)

    def orphan(self, reason):
        """Have every call in this child process raise `StoreError`."""
        self.orphaned = reason

    def after_fork_in_child(self):
        """Make the store usable in the child, or say why it is not.

        Returns whether the child has inherited a connection. Closing one here could checkpoint
        or delete what the parent still uses, so it is left open and never used again.
        """
        cdef bint inherited = self.writer is not None or self.lent_now()
        if atomic_get(&self.closed) or self.orphaned is not None:
            atomic_set(&self.suspended, 0)
            return False
        if self.path == ":memory:":
            self.orphaned = "a store in memory stays with the process that made it"
        elif not self.shared:
            self.orphaned = f"{self.path} is open in the parent process, exclusively"
        elif inherited:
            self.orphaned = f"the process was forked while a transaction of {self.path} was open"
        if self.writer is not None:
            Py_INCREF(self.writer)
            Py_INCREF(self.writer.apsw)
            self.writer = None
        # The old lock may be held by a thread that does not exist here.
        self.turn = PyThread_allocate_lock()
        self.owner = 0
        self.owner_task = None
        self.busy_with = None
        self.blocks = []
        self.staged = []
        self.changes = []
        self.cache.after_fork()
        self.cache.detach()
        self.lent = {}
        # Of the parent's threads, which waited and were woken there.
        self.queue = Queue()
        self.expected_members = 0
        self.main_thread = PyThread_get_thread_ident()
        self.checkpoint_is_due = False
        self.is_new_child = True
        self.dispatcher.after_fork()
        atomic_set(&self.inside, 0)
        atomic_set(&self.suspended, 0)
        return inherited


cdef class _Lending:
    cdef Engine engine
    cdef str attempted

    def __cinit__(self, Engine engine not None, str attempted, *_):
        self.engine = engine
        self.attempted = attempted

    cdef int translate(self, error) except -1:
        """Raise what an APSW error means here."""
        if isinstance(error, apsw.Error):
            raise from_sqlite(error, self.attempted, self.engine.path) from error
        return 0


@cython.final
cdef class _Writing(_Lending):
    cdef Block block
    cdef bint spares_entries

    def __cinit__(self, Engine engine not None, str attempted, bint spares_entries):
        self.spares_entries = spares_entries

    def __enter__(self):
        self.block = Block(self.engine)
        self.block.enter()
        try:
            self.engine.enter_sqlite(self.attempted)
        except BaseException:
            self.block.leave(True)
            raise
        self.engine.lend(1)
        return self.engine.writer.apsw

    def __exit__(self, kind, error, traceback):
        self.engine.lend(-1)
        self.engine.leave_sqlite()
        if not self.spares_entries:
            self.engine.note_change(None, 0)
        self.block.leave(error is not None)
        self.translate(error)


@cython.final
cdef class _Alone(_Lending):
    cdef Connection connection

    def __enter__(self):
        self.engine.refuse_in_transaction(self.attempted)
        if self.engine.read_only:
            raise ReadOnlyError(f"{self.attempted}: {self.engine.path} was opened read-only")
        self.connection = self.engine.begin(None, False, self.attempted)
        self.engine.lend(1)
        return self.connection.apsw

    def __exit__(self, kind, error, traceback):
        self.engine.lend(-1)
        self.engine.note_change(None, 0)
        self.engine.finish(self.connection)
        self.translate(error)


@cython.final
cdef class _Reading(_Lending):
    cdef Connection connection

    def __enter__(self):
        self.connection = self.engine.borrow(None, self.attempted)
        self.engine.lend(1)
        if self.connection.hold & JOINED:
            # The store may be used meanwhile: it is the same transaction.
            self.engine.busy_with = None
        return self.connection.apsw

    def __exit__(self, kind, error, traceback):
        self.engine.lend(-1)
        self.engine.give_back(self.connection)
        self.connection = None
        self.translate(error)
