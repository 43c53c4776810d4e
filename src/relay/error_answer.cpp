#include "error_answer.hpp"

#include <algorithm>

#include "answer_body.hpp"
#include "error_kind.hpp"

namespace sluice::relay {
namespace {

constexpr std::size_t kErrorBodyBytes = 64 * kKiB;  // that are kept to be passed on

}  // namespace

ring::Task<ErrorAnswer> read_error_answer(Services& services, net::Stream& upstream,
                                          dialect::Format format, dialect::ErrorTable errors,
                                          const ResponseFacts& response, TimeNs most_ns) {
  ErrorAnswer answer;
  const BodySink keep = [&answer](std::string_view payload) {
    return answer.body.append(payload, kErrorBodyBytes);
  };
  const AnswerBody body =
      co_await read_answer_body(services, upstream, response, keep, kErrorBodyBytes, most_ns);
  answer.whole = body.whole;
  answer.reusable = body.reusable;
  const dialect::ErrorClass error_class =
      dialect::classify_upstream_error(format, response.status, answer.body.view(), errors);
  services.count(counter_of(error_class));
  answer.fault = policy::fault_of(error_class, response.status);
  answer.retry_after_ns =
      std::max(response.retry_after_ns, dialect::retry_delay_ns(answer.body.view()));
  co_return answer;
}

}  // namespace sluice::relay
