#include "sluice/state/tables.hpp"

namespace sluice::state {

const char* table_name(Table table) {
  switch (table) {
    case Table::meta:
      return "meta";
    case Table::keys:
      return "keys";
    case Table::accounts:
      return "accounts";
    case Table::slots:
      return "slots";
    case Table::holds:
      return "holds";
    case Table::outbox:
      return "outbox";
    case Table::idem:
      return "idem";
    case Table::catalog:
      return "catalog";
  }
  return "unknown";
}

}  // namespace sluice::state
