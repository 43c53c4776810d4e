// The one place through which this module sees wolfSSL: its options first, its native interface
// only.
#pragma once

#include <wolfssl/options.h>
// options.h must come first: it says how the library was built.
#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>

// Without these wolfSSL does not show us the certificates that it accepts, and a common name would
// do where alternative names are missing. tools/deps sets them.
#if !defined(WOLFSSL_ALWAYS_VERIFY_CB) || !defined(WOLFSSL_VERIFY_CB_ALL_CERTS)
#error "wolfSSL was built without the options that verification needs: run tools/deps"
#endif
