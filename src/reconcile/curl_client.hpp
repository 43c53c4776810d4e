// What the node says to others by itself: one HTTP request, one mail. Blocking, with a time-out:
// only for threads that nobody waits for. The library behind it is libcurl.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "sluice/base/error.hpp"

namespace sluice::reconcile {

/// Set once when the process ends: transfers under way stop within a second.
using Stop = std::atomic<bool>;

struct HttpPost {
  std::string url;
  std::vector<std::string> headers;  ///< "Name: value"
  std::string body;
};

/// Sends it and returns the status of the answer, whose body is dropped. Redirects are not
/// followed. Errors: unavailable (no connection, no answer in 10 s), cancelled.
[[nodiscard]] Result<int> post(const HttpPost& request, const Stop& stop);

struct MailServer {
  std::string url;     ///< smtp:// or smtps://
  bool plain = false;  ///< smtp:// may stay without TLS
  std::string user;    ///< empty = no login
  std::string password;
};

/// Sends a message to its recipients. Errors as post(); refused where the server did not take it.
[[nodiscard]] Result<> send_mail(const MailServer& server, const std::string& from,
                                 const std::vector<std::string>& to, const std::string& message,
                                 const Stop& stop);

}  // namespace sluice::reconcile
