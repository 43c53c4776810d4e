#include "error_kind.hpp"

namespace sluice::relay {

using dialect::ErrorKind;

Counter counter_of(dialect::ErrorClass error_class) {
  switch (error_class) {
    case dialect::ErrorClass::key_bad:
      return Counter::errors_key_bad;
    case dialect::ErrorClass::no_money:
      return Counter::errors_no_money;
    case dialect::ErrorClass::rate:
      return Counter::errors_rate;
    case dialect::ErrorClass::overloaded:
      return Counter::errors_overloaded;
    case dialect::ErrorClass::caller:
      return Counter::errors_caller;
    case dialect::ErrorClass::unknown:
      break;
  }
  return Counter::errors_unknown;
}

ErrorKind kind_of(dialect::ErrorClass error_class) {
  switch (error_class) {
    case dialect::ErrorClass::caller:
      return ErrorKind::bad_request;
    case dialect::ErrorClass::rate:
      return ErrorKind::rate_limited;
    case dialect::ErrorClass::overloaded:
      return ErrorKind::overloaded;
    default:
      return ErrorKind::upstream_failed;
  }
}

}  // namespace sluice::relay
