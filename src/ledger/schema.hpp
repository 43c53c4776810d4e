// The tables, and how an older ledger becomes a newer one.
#pragma once

#include "sluice/base/error.hpp"

namespace sluice::ledger {

class Db;

inline constexpr std::int64_t kSchemaVersion = 4;

/// Creates the tables or brings them up to kSchemaVersion, in one transaction. Errc::unsupported
/// when the ledger is newer than this program.
[[nodiscard]] Result<> migrate(Db& db);

/// Errc::unsupported unless the schema is this program's: for those who only read.
[[nodiscard]] Result<> check_schema(Db& db);

}  // namespace sluice::ledger
