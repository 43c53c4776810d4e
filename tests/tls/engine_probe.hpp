// Lets tests play a peer that misbehaves, through wolfSSL's own interface.
#pragma once

#include <gtest/gtest.h>

#include "sluice/tls/engine.hpp"
#include "wire.hpp"
#include "wolfssl.hpp"

namespace sluice::tls {

/// Makes an engine do what its interface does not offer.
struct EngineProbe {
  static void ask_for_key_update(Engine& engine, Outbox& out) {
    detail::Wire wire{{}, &out, &engine.spill_};
    wolfSSL_SetIOWriteCtx(engine.handle_.get(), &wire);
    ASSERT_EQ(wolfSSL_update_keys(engine.handle_.get()), WOLFSSL_SUCCESS);
  }
  /// Before the handshake.
  static void offer_tls_1_2_only(Engine& engine) {
    ASSERT_NE(wolfSSL_set_options(engine.handle_.get(), WOLFSSL_OP_NO_TLSv1_3), 0);
  }
};

}  // namespace sluice::tls
