// One HTTP request of the operator's own, for drills. Over libcurl.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "parser.hpp"
#include "sluice/base/units.hpp"

namespace sluice::cli {

struct HttpCall {
  std::string url;
  std::vector<std::string> headers;  ///< "Name: value"
  std::string body;                  ///< sent by POST
  TimeNs most_ns = 60 * kSecond;
};

struct HttpAnswer {
  long status = 0;
  std::string request_id;  ///< x-request-id
  std::string body;        ///< the first 64 KiB of it
  TimeNs first_byte_ns = 0;
  TimeNs total_ns = 0;
};

/// Any status is an answer. A problem: no connection, no answer in time.
[[nodiscard]] Outcome<HttpAnswer> call(const HttpCall& call);

}  // namespace sluice::cli
