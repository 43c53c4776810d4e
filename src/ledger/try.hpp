// Hands an error on to the caller.
#pragma once

#include "sluice/base/error.hpp"

#define LEDGER_TRY(expression) \
  if (auto outcome = (expression); !outcome) return std::unexpected(outcome.error())
