// LMDB with calls that give an error: the linker sends the program's calls here (--wrap, in
// meson.build), LMDB's own among themselves stay. What LMDB does itself after an error is done here
// too: a write that failed leaves a transaction that cannot be committed (lmdb.h: MDB_BAD_TXN).
#include <lmdb.h>

#include <cerrno>
#include <cstddef>

#include "actor.hpp"

namespace {

using sluice::sim::Inject;

MDB_txn* spoilt = nullptr;  // there is one write transaction in a process at a time

bool refused() { return sluice::sim::fails(Inject::store_call); }

int spoil(MDB_txn* txn, int error) {
  spoilt = txn;
  return error;
}

}  // namespace

#define SLUICE_OVER __attribute__((visibility("default"), used))
/// A call that can fail without any effect.
#define SLUICE_CALL(name, error, parameters, arguments) \
  int __real_##name parameters;                         \
  SLUICE_OVER int __wrap_##name parameters { return refused() ? (error) : __real_##name arguments; }

extern "C" {

SLUICE_CALL(mdb_env_create, ENOMEM, (MDB_env * *env), (env))
SLUICE_CALL(mdb_env_open, EIO, (MDB_env * env, const char* path, unsigned flags, mdb_mode_t mode),
            (env, path, flags, mode))
SLUICE_CALL(mdb_env_info, EINVAL, (MDB_env * env, MDB_envinfo* out), (env, out))
SLUICE_CALL(mdb_env_stat, EINVAL, (MDB_env * env, MDB_stat* out), (env, out))
SLUICE_CALL(mdb_stat, EINVAL, (MDB_txn * txn, MDB_dbi dbi, MDB_stat* out), (txn, dbi, out))
SLUICE_CALL(mdb_env_set_maxdbs, EINVAL, (MDB_env * env, MDB_dbi dbs), (env, dbs))
SLUICE_CALL(mdb_env_set_mapsize, EINVAL, (MDB_env * env, std::size_t bytes), (env, bytes))
SLUICE_CALL(mdb_env_get_fd, EINVAL, (MDB_env * env, mdb_filehandle_t* out), (env, out))
SLUICE_CALL(mdb_reader_check, ENOMEM, (MDB_env * env, int* dead), (env, dead))
SLUICE_CALL(mdb_reader_list, -ENOMEM, (MDB_env * env, MDB_msg_func* each, void* context),
            (env, each, context))
SLUICE_CALL(mdb_txn_begin, (flags & MDB_RDONLY) != 0 ? MDB_READERS_FULL : ENOMEM,
            (MDB_env * env, MDB_txn* parent, unsigned flags, MDB_txn** out),
            (env, parent, flags, out))
SLUICE_CALL(mdb_txn_renew, MDB_READERS_FULL, (MDB_txn * txn), (txn))
SLUICE_CALL(mdb_dbi_open, MDB_DBS_FULL,
            (MDB_txn * txn, const char* name, unsigned flags, MDB_dbi* out),
            (txn, name, flags, out))
SLUICE_CALL(mdb_cursor_open, ENOMEM, (MDB_txn * txn, MDB_dbi dbi, MDB_cursor** out),
            (txn, dbi, out))
SLUICE_CALL(mdb_get, EIO, (MDB_txn * txn, MDB_dbi dbi, MDB_val* key, MDB_val* value),
            (txn, dbi, key, value))
SLUICE_CALL(mdb_cursor_get, EIO,
            (MDB_cursor * cursor, MDB_val* key, MDB_val* value, MDB_cursor_op op),
            (cursor, key, value, op))

int __real_mdb_put(MDB_txn* txn, MDB_dbi dbi, MDB_val* key, MDB_val* value, unsigned flags);
int __real_mdb_del(MDB_txn* txn, MDB_dbi dbi, MDB_val* key, MDB_val* value);
int __real_mdb_cursor_put(MDB_cursor* cursor, MDB_val* key, MDB_val* value, unsigned flags);
int __real_mdb_cursor_del(MDB_cursor* cursor, unsigned flags);
int __real_mdb_txn_commit(MDB_txn* txn);
void __real_mdb_txn_abort(MDB_txn* txn);

SLUICE_OVER int __wrap_mdb_put(MDB_txn* txn, MDB_dbi dbi, MDB_val* key, MDB_val* value,
                               unsigned flags) {
  if (refused()) return spoil(txn, MDB_MAP_FULL);
  return txn == spoilt ? MDB_BAD_TXN : __real_mdb_put(txn, dbi, key, value, flags);
}

SLUICE_OVER int __wrap_mdb_del(MDB_txn* txn, MDB_dbi dbi, MDB_val* key, MDB_val* value) {
  if (refused()) return spoil(txn, MDB_TXN_FULL);
  return txn == spoilt ? MDB_BAD_TXN : __real_mdb_del(txn, dbi, key, value);
}

SLUICE_OVER int __wrap_mdb_cursor_put(MDB_cursor* cursor, MDB_val* key, MDB_val* value,
                                      unsigned flags) {
  MDB_txn* const txn = mdb_cursor_txn(cursor);
  if (refused()) return spoil(txn, MDB_MAP_FULL);
  return txn == spoilt ? MDB_BAD_TXN : __real_mdb_cursor_put(cursor, key, value, flags);
}

SLUICE_OVER int __wrap_mdb_cursor_del(MDB_cursor* cursor, unsigned flags) {
  MDB_txn* const txn = mdb_cursor_txn(cursor);
  if (refused()) return spoil(txn, MDB_MAP_FULL);
  return txn == spoilt ? MDB_BAD_TXN : __real_mdb_cursor_del(cursor, flags);
}

SLUICE_OVER int __wrap_mdb_txn_commit(MDB_txn* txn) {
  const bool bad = txn == spoilt;
  spoilt = nullptr;
  if (bad || refused()) {
    __real_mdb_txn_abort(txn);
    return bad ? MDB_BAD_TXN : MDB_MAP_FULL;
  }
  const bool kept = sluice::sim::fails(Inject::commit_kept);
  const int rc = __real_mdb_txn_commit(txn);
  return rc == 0 && kept ? EIO : rc;
}

SLUICE_OVER void __wrap_mdb_txn_abort(MDB_txn* txn) {
  if (txn == spoilt) spoilt = nullptr;
  __real_mdb_txn_abort(txn);
}
}
