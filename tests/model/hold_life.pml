/* The life of holds between one slot's shard, its replacements and the reconciler: rows 1 to 9 of the state
 * machine (README.md here). Every atomic block is one step that a crash can precede or follow: a transaction of
 * the shared state, one store to the meter board, a file lock, or a message of the ledger. Both processes may
 * die between any two steps; the kernel then frees the slot's lock, memory is gone, the shared state and the
 * board stay. Who waits for something is blocked, so a search without invalid end states has no deadlock. */

#ifndef HOLDS
#define HOLDS 2              /* requests in all */
#endif
#ifndef DEATHS
#define DEATHS 1             /* of shard and reconciler together */
#endif
#ifndef UNKNOWNS
#define UNKNOWNS 1           /* commits, of either store, whose outcome nobody hears */
#endif

#define ROWS (2 * HOLDS + 1)
#define CREDITS (4 * HOLDS)
#define SLICE 2              /* amount of a hold; an extension adds 1 */

/* Phases of the meter board, and what price::charge says of them. */
#define RESERVED 0
#define SENDING 1
#define SENT 2
#define STREAMING 3
#define FINAL 4
#define price(phase) ((phase) < SENT -> 0 : (phase) - 1)

#define ABSENT 0
#define OPEN 1
#define TOMBSTONE 2

#define FREE 0
#define SHARD 1
#define RECONCILER 2

/* ---- shared state: survives both processes */
byte available = CREDITS, held, charged, excess, in_flight;
byte hold_seq, outbox_seq;                  /* last used */
byte hold[HOLDS + 1];                       /* ABSENT, OPEN, TOMBSTONE */
byte amount[HOLDS + 1];
bool extended[HOLDS + 1];
byte board[HOLDS + 1];                      /* phase as the meter board has it */
bool row[ROWS + 1];                         /* in the outbox */
byte row_cost[ROWS + 1];
byte lock = FREE;                           /* of the slot */

/* ---- ledger */
byte cursor, booked_sum;
byte late_from, late_to;                    /* a COMMIT on its way, its sender gone; late_to 0 = none */

/* ---- what the model alone knows */
byte truth[HOLDS + 1];                      /* phase that the request really reached */
byte closed[HOLDS + 1], paid[HOLDS + 1], booked[ROWS + 1];
bool expired[HOLDS + 1], answered[HOLDS + 1];
byte deaths, unknowns;
bool shard_ended, all_ended;

#if HOLDS == 2
#define any_hold (hold[1] != ABSENT || hold[2] != ABSENT)
#define any_row (row[1] || row[2])
#define first_hold (hold[1] != ABSENT -> 1 : 2)
#elif HOLDS == 3
#define any_hold (hold[1] != ABSENT || hold[2] != ABSENT || hold[3] != ABSENT)
#define any_row (row[1] || row[2] || row[3])
#define first_hold (hold[1] != ABSENT -> 1 : (hold[2] != ABSENT -> 2 : 3))
#else
#error HOLDS is 2 or 3
#endif

inline check_wallet() {
  assert(available + held + charged + excess == CREDITS)                                          /* I1 */
}

/* Charges a hold that ends and writes its outbox row. What is below the slice comes from `release`. */
inline pay(h, cost, release) {
  available = available + release - cost;
  charged = charged + (cost < amount[h] -> cost : amount[h]);
  excess = excess + (cost > amount[h] -> cost - amount[h] : 0);
  paid[h] = paid[h] + cost;
  hold[h] = ABSENT;
  check_wallet()
}
inline write_row(cost) {
  outbox_seq++;
  row[outbox_seq] = true;
  row_cost[outbox_seq] = cost
}
inline close_open(h, cost) {
  closed[h]++;
  assert(closed[h] == 1);                                                                         /* I3 */
  held = held - amount[h];
  in_flight--;
  pay(h, cost, amount[h])
}

/* Row 1. */
inline reserve() {
  hold_seq++;
  hold[hold_seq] = OPEN;
  amount[hold_seq] = SLICE;
  available = available - SLICE;
  held = held + SLICE;
  in_flight++;
  check_wallet()
}
/* Row 2: the expected extension number is 0. */
inline extend(h) {
  extended[h] = true;
  amount[h]++;
  available--;
  held++;
  check_wallet()
}
/* Rows 3, 4 and 7. */
inline settle(h) {
  if
  :: hold[h] == TOMBSTONE ->
     pay(h, price(board[h]), 0);
     if
     :: board[h] >= SENT -> write_row(price(board[h]))
     :: else
     fi
#ifdef SETTLE_WITHOUT_ABSENT_CHECK
  :: hold[h] != TOMBSTONE ->
#else
  :: hold[h] == OPEN ->
#endif
     close_open(h, price(board[h]));
     if
     :: board[h] >= SENT -> write_row(price(board[h]))
     :: else  /* a void leaves no row */
     fi
#ifndef SETTLE_WITHOUT_ABSENT_CHECK
  :: hold[h] == ABSENT  /* closed before: no-op */
#endif
  fi
}
/* Row 5, one hold a transaction, so that a reaper can die between two. */
inline reap_first(h) {
  h = first_hold;
  if
  :: hold[h] == TOMBSTONE -> hold[h] = ABSENT
  :: hold[h] == OPEN ->
     close_open(h, price(board[h]));
     write_row(price(board[h]))
  :: else
  fi;
  h = 0
}
/* Row 6. */
inline expire(h) {
  if
  :: hold[h] == OPEN ->
     closed[h]++;
     assert(closed[h] == 1);
     expired[h] = true;
     held = held - amount[h];
     in_flight--;
     available = available + amount[h];
#ifdef EXPIRE_WITHOUT_TOMBSTONE
     hold[h] = ABSENT;
#else
     hold[h] = TOMBSTONE;
#endif
     check_wallet()
  :: else
  fi
}

/* Row 8, the ledger's side. `done`: the transaction was committed. */
inline land(from, to, n, done) {
#ifdef DRAIN_WITHOUT_CURSOR_CAS
  done = true;
#else
  done = (cursor == from);
#endif
  if
  :: done ->
     n = from + 1;
     do
     :: n <= to ->
        booked[n]++;
        assert(booked[n] == 1);                                                                   /* I5 */
        booked_sum = booked_sum + row_cost[n];
        n++
     :: else -> break
     od;
     n = 0;
     cursor = to
  :: else
  fi
}

#define EXCHANGE(i)                                                                                       \
  :: atomic { mode == SERVING && mine[i] == 0 && hold_seq < HOLDS ->                                      \
       if                                                                                                 \
       :: mine[i] = hold_seq + 1                                                                          \
       :: unknowns < UNKNOWNS -> unknowns++  /* committed, not heard: 503, and a hold that nobody owns */ \
       fi;                                                                                                \
       reserve() }                                                                                        \
  :: atomic { mode == SERVING && mine[i] != 0 && !closing[i] && board[mine[i]] < FINAL ->                 \
       board[mine[i]]++; truth[mine[i]] = board[mine[i]] }                                                \
  :: atomic { mode == SERVING && mine[i] != 0 && !closing[i] && board[mine[i]] == SENT && !again[i] ->    \
       again[i] = true; board[mine[i]] = RESERVED; truth[mine[i]] = RESERVED }  /* a new attempt */       \
  :: atomic { mode == SERVING && mine[i] != 0 && !closing[i] && board[mine[i]] == STREAMING &&            \
              hold[mine[i]] == OPEN && !extended[mine[i]] -> extend(mine[i]) }                            \
  :: atomic { mode == SERVING && mine[i] != 0 && !closing[i] -> closing[i] = true }                       \
  :: atomic { mode == SERVING && closing[i] ->                                                            \
       settle(mine[i]);                                                                                   \
       if                                                                                                 \
       :: answered[mine[i]] = true; mine[i] = 0; closing[i] = false; again[i] = false                     \
       :: unknowns < UNKNOWNS -> unknowns++  /* committed, not heard: the settle is repeated */           \
       fi }

#define WAITING 0
#define REAPING 1
#define SERVING 2

/* The shard of the slot and, after a death, its replacement. Two exchanges overlap. */
active proctype Shard() {
  byte mode = WAITING, mine[2], n;
  bool closing[2], again[2];
  do
  :: atomic { mode == WAITING && lock == FREE ->
       lock = SHARD;
#ifdef BOARD_CLEARED_BEFORE_REAP
       n = 1;
       do
       :: n <= HOLDS -> board[n] = RESERVED; n++
       :: else -> break
       od;
       n = 0;
#endif
       mode = REAPING }
  :: atomic { mode == REAPING && any_hold -> reap_first(n) }
  :: atomic { mode == REAPING && !any_hold -> mode = SERVING }
  EXCHANGE(0)
  EXCHANGE(1)
  :: atomic { mode != WAITING && deaths < DEATHS ->
       deaths++;
       lock = FREE;
       mode = WAITING;
       mine[0] = 0; closing[0] = false; again[0] = false;
       mine[1] = 0; closing[1] = false; again[1] = false }
  :: atomic { mode == SERVING && hold_seq == HOLDS && mine[0] == 0 && mine[1] == 0 ->
       lock = FREE;
       shard_ended = true;
       break }
  od
}

#define EXPIRE(h)                                                                                        \
  :: atomic { !reaping && overdue == 0 && lock == SHARD && hold[h] == OPEN -> overdue = h }

active proctype Reconciler() {
  byte known, from, to, overdue, n;
  bool has_cursor, reaping, done;
  do
  /* 5: a slot that is left free */
#ifdef REAP_WITHOUT_LOCK
  :: atomic { any_hold -> reap_first(n) }
#else
  :: atomic { !reaping && lock == FREE && any_hold -> lock = RECONCILER; reaping = true }
  :: atomic { reaping && any_hold -> reap_first(n) }
  :: atomic { reaping && !any_hold -> lock = FREE; reaping = false }
#endif
  /* 6: overdue, and its owner lives; between the two looks the owner may die */
  EXPIRE(1)
  EXPIRE(2)
#if HOLDS == 3
  EXPIRE(3)
#endif
  :: atomic { overdue != 0 -> expire(overdue); overdue = 0 }
  /* 8 */
  :: atomic { !has_cursor -> known = cursor; has_cursor = true }
  :: atomic { has_cursor && to == 0 && outbox_seq > known ->
       from = known;
       if
       :: to = outbox_seq
       :: outbox_seq > known + 1 -> to = known + 1
       fi;
       n = from + 1;
       do
       :: n <= to -> assert(row[n]); n++  /* nothing above the cursor is missing */
       :: else -> break
       od;
       n = 0 }
  :: atomic { to != 0 ->
       if
       :: land(from, to, n, done);
          if
          :: done -> known = to
          :: else -> has_cursor = false  /* another commit was there: read the cursor again */
          fi;
          to = 0
       :: unknowns < UNKNOWNS ->
          unknowns++;
          if
          :: land(from, to, n, done)                              /* committed, not heard */
          :: late_to == 0 -> late_from = from; late_to = to       /* still on its way */
          :: true                                                 /* lost */
          fi;
          if
          :: has_cursor = false; to = 0
          :: true  /* sent again as it is: the cursor must refuse it */
          fi
       fi;
       done = false;
       from = (to == 0 -> 0 : from) }
  /* 9 */
#ifdef DELETE_TO_THE_HEAD
  :: atomic { has_cursor && to == 0 && any_row ->
       n = outbox_seq;
#else
  :: atomic { has_cursor && to == 0 && known > 0 && row[known] ->
       n = known;
#endif
       do
       :: n > 0 -> row[n] = false; n--
       :: else -> break
       od }
  :: atomic { deaths < DEATHS ->
       deaths++;
       lock = (lock == RECONCILER -> FREE : lock);
       known = 0; from = 0; to = 0; overdue = 0; has_cursor = false; reaping = false }
  :: atomic { shard_ended && lock == FREE && !any_hold && late_to == 0 && has_cursor && to == 0 &&
              overdue == 0 && known == outbox_seq && !any_row -> all_ended = true; break }
  od;
  /* Quiescence: what the verbs charged is in the books, once, and it is what each request came to. */
  atomic {
    assert(held == 0 && in_flight == 0);
    assert(cursor == outbox_seq);
    assert(booked_sum == charged + excess);
    n = 1;
    do
    :: n <= HOLDS ->
       assert(closed[n] == 1);
       assert((expired[n] && !answered[n]) || paid[n] == price(truth[n]));
       n++
    :: else -> break
    od;
    n = 1;
    do
    :: n <= outbox_seq -> assert(booked[n] == 1); n++
    :: else -> break
    od
  }
}

/* A COMMIT that outlived its connection: it is carried out at any time, or never. */
active proctype Wire() {
  byte n;
  bool done;
  do
  :: atomic { late_to != 0 ->
       if
       :: land(late_from, late_to, n, done)
       :: true
       fi;
       done = false;
       late_from = 0;
       late_to = 0 }
  :: all_ended -> break
  od
}
