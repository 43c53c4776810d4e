// <state directory>/reconciler.sock: questions about live numbers, one line of JSON each way.
// Read-only.
//   {"ask":"wallet","id":7} →
//   {"wallet":7,"available":…,"held":…,"charged":…,"excess":…,"applied_no":…}
//   {"ask":"request","id":3,"request":"<32 hex digits>"} → the record of a request of key 3
//   {"ask":"lag"}           → {"rows":…,"nanos":…,"age_ms":…,"epoch":…,"published":…}
// What cannot be answered: {"error":"…"}.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/error.hpp"

struct pollfd;

namespace sluice::reconcile {

/// A question, checked.
struct Question {
  enum class Kind : std::uint8_t { wallet, request, lag, unknown };
  Kind kind = Kind::unknown;
  std::uint64_t id = 0;  ///< of the wallet, or of the key whose request it is
  std::string request;
};
/// Strict: one object with the members above and no others.
[[nodiscard]] Question parse_question(std::string_view line);

class QuestionSocket {
 public:
  using Answer = std::function<std::string(const Question&)>;  ///< a line without its newline

  /// Listens on `path` (mode 0660), replacing a socket that a dead process left. Errors: io, a line
  /// in `message`.
  [[nodiscard]] static Result<std::unique_ptr<QuestionSocket>> open(const std::string& path,
                                                                    Answer answer,
                                                                    std::string& message);
  ~QuestionSocket();
  QuestionSocket(const QuestionSocket&) = delete;
  QuestionSocket& operator=(const QuestionSocket&) = delete;

  void add_to(std::vector<pollfd>& fds) const;
  /// Accepts, reads and answers what is there; never waits.
  void serve();

  static constexpr std::size_t kMostClients = 16;
  static constexpr std::size_t kMostLineBytes = 512;

 private:
  struct Client {
    int fd = -1;
    std::string received;
  };
  QuestionSocket() = default;
  bool serve_client(Client& client);
  int fd_ = -1;
  std::string path_;
  Answer answer_;
  std::list<Client> clients_;
};

}  // namespace sluice::reconcile
