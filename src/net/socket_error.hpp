// What an errno of a socket operation means to who asked for it.
#pragma once

#include "sluice/base/error.hpp"

namespace sluice::net {

/// Of a connection that stood: what was sent may have been received, whatever the error, so that
/// it is never safe to try again. `peer`: who is at the other end.
[[nodiscard]] Error error_of(int error_number, Source peer) noexcept;

/// Of a connect: nothing was sent yet, another try may help. A machine without a port left is
/// Errc::full of our own.
[[nodiscard]] Error connect_error_of(int error_number, Source peer) noexcept;

}  // namespace sluice::net
