// The one place through which this module sees wolfSSL: its options first, its native interface only.
#pragma once

#include <wolfssl/options.h>
// options.h must come first: it says how the library was built.
#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
