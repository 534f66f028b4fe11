cimport cython
from cpython.pythread cimport PyThread_type_lock
from libc.stdint cimport int64_t, uint64_t

from groupstore.engine.cache cimport Cache
from groupstore.engine.connection cimport Connection
from groupstore.engine.dispatch cimport Dispatcher
from groupstore.engine.event cimport Kind
from groupstore.engine.lock cimport brief_lock
from groupstore.engine.sqlite cimport sqlite3_stmt
from groupstore.engine.write cimport Queue, Write

# How a call holds the connection that it uses.
cdef enum Hold:
    # It takes part in this thread's open transaction.
    JOINED = 1
    # It took the turn to write and gives it back.
    TURN = 2
    # It opened a savepoint (JOINED, SHARING) or a transaction (TURN) that it has to end.
    BRACKET = 4
    # It shares its transaction with writes of other threads: see `share_commit`.
    SHARING = 8


@cython.final
cdef class Block:
    cdef Engine engine
    cdef int state
    # Unique for ever, and the system's, which may be another thread's after this one's end.
    cdef uint64_t thread
    cdef unsigned long native_thread
    # Events staged before the block: what a rollback of it leaves.
    cdef Py_ssize_t staged_before

    cdef int enter(self) except -1
    cdef int leave(self, bint failed) except -1
    cdef int roll_back(self) except -1
    cdef object unusable(self, str verb)
    cdef bint is_abandoned(self) except -1
    cdef int finish_leaving(self, bint failed) except -1
    cdef int end_inner(self) except -1
    cdef int end_savepoint(self, bint failed) except -1
    cdef int end_transaction(self, bint failed) except -1
    cdef int bury_blocks(self) except -1
    cdef int bury(self) except -1


@cython.final
cdef class Engine:
    cdef readonly object config
    cdef readonly object database
    cdef readonly str path
    cdef readonly bint shared
    cdef readonly bint read_only
    cdef readonly bint counted
    cdef readonly Dispatcher dispatcher
    cdef readonly Cache cache
    # What the transaction under way has changed, for the cache: see Cache.commit.
    cdef list changes
    cdef Py_ssize_t changed_keys
    # False once a part of the transaction was rolled back.
    cdef bint changes_known
    # Whether it may have changed more than was noted.
    cdef bint changes_lost
    # The file's device and number, None in memory, and when it was last looked for by name.
    cdef object identity
    cdef int64_t looked_for_ms
    # Called in a forked child when it first uses the store.
    cdef public object on_child
    # Called when an expired row was met that could not be removed at once.
    cdef public object on_expired
    cdef object __weakref__
    # The connection that writes; where there is only one, it reads as well.
    cdef Connection writer
    # Connections for reading that nobody uses.
    # The first of the connections that wait for readers, and how many there are.
    cdef Connection idle
    cdef int idle_count
    cdef brief_lock idle_lock
    # Owned. Whoever holds it may use `writer`.
    cdef PyThread_type_lock turn
    # The thread that holds the turn, 0 for none.
    cdef uint64_t owner
    cdef object owner_task
    cdef str busy_with
    cdef list blocks
    cdef list staged
    # Whether a commit waits for the disk, so that it pays to share one.
    cdef bint shares_commits
    # The writes that wait to be done, or for the turn, in the order of their coming.
    cdef Queue queue
    # How many writes to expect in the next shared commit: what the last one held, or 2 where a
    # thread had to wait for another's.
    cdef Py_ssize_t expected_members
    # The system's number of the thread in which handlers of signals run.
    cdef unsigned long main_thread
    # How often the turn was taken for a transaction of its own.
    cdef readonly Py_ssize_t commits
    # Called where the log has grown enough to be worth a checkpoint.
    cdef public object on_log_growth
    # How far it grows between two checkpoints, and from when on its end is copied while nobody
    # writes, so that it can begin anew.
    cdef int checkpoint_frames
    cdef int long_frames
    # How long the log was after the last checkpoint, in frames.
    cdef int checkpointed_frames
    cdef public bint checkpoint_is_due
    # Calls that are inside SQLite; a fork and close() wait until there are none.
    cdef long inside
    cdef long suspended
    cdef long closed
    # In a child process that cannot use the store: why.
    cdef str orphaned
    # Whether the process was forked since the store was last used.
    cdef bint is_new_child
    # Thread to the number of connections that Python code in it holds by read() and write().
    cdef dict lent
    cdef Py_ssize_t staged_before

    cdef Connection connection_to(self, apsw_connection)
    cdef Connection open_connection(self)
    cdef int enter_sqlite(self, str verb) except -1
    cdef int wait_at_entrance(self, str verb) except -1
    cdef int wait_until_empty(self) except -1
    cdef bint is_reentered(self) except -1
    cdef bint await_turn(self, Write write) except -1
    cdef int release(self) except -1
    cdef int announce(self, list events, list wakes) except -1
    cdef bint is_lost(self) noexcept
    cdef int lend(self, int difference) except -1
    cdef int leave_sqlite(self) noexcept
    cdef int take_turn(self, str verb) except -1
    cdef bint take_turn_at_once(self) except -1
    cdef int give_turn(self) except -1
    cdef int open_writer(self) except -1
    cdef int close_connections(self) except -1
    cdef int set_writer(self, Connection connection) except -1
    cdef int use_header(self, Connection connection) except -1
    cdef Connection idle_connection(self)
    cdef Connection take_idle(self)
    cdef bint keep_idle(self, Connection connection) noexcept
    cdef int check_joined(self, Block block, str verb) except -1
    cdef Connection borrow(self, Block block, str verb)
    cdef int give_back(self, Connection connection) except -1
    cdef Connection begin(self, Block block, bint several, str verb)
    cdef object perform(self, Write write, Block block)
    cdef object carry_out(self, Write write, Connection writer)
    cdef object share_commit(self, Write write)
    cdef int lead(self, Write own) except -1
    cdef Py_ssize_t serve_all(self, Write own) except -1
    cdef int serve(self, Write write) except -1
    cdef list commit_shared(self, Write own)
    cdef object outcome(self, Write write)
    cdef bint watch_log(self) noexcept
    cdef Connection begin_at_once(self, Block block, str verb)
    cdef int hold_writer(self, str verb) except -1
    cdef Connection open_bracket(self, bint several, str verb)
    cdef int finish(self, Connection connection) except -1
    cdef int abandon(self, Connection connection) except -1
    cdef int unstage(self, Py_ssize_t before) noexcept
    cdef list deliver_staged(self, list wakes)
    cdef int undo_bracket(self, Connection writer) except -1
    cdef int stage(self, Kind kind, str group, str key, object value) except -1
    cdef int note_change(self, object change, Py_ssize_t keys) except -1
    cdef int settle_cache(self) except -1
    cdef int look_for_triggers(self) except -1
    cdef int forget_changes(self) except -1
    cdef int check_in_place(self, str verb) except -1
    cdef int look_for_file(self, str verb) except -1


cdef uint64_t current_thread() noexcept
