// Delivers notices by webhook and mail from a thread of its own: each until it was taken by all
// that are configured, with growing pauses, at most for a day.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "curl_client.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/ledger/notice_book.hpp"
#include "sluice/reconcile/reconciler.hpp"

namespace sluice::reconcile {

class NoticeSender {
 public:
  static constexpr std::size_t kMostWaiting = 256;

  NoticeSender(NoticeOptions options, std::uint32_t node, const Clock& clock);
  ~NoticeSender();
  NoticeSender(const NoticeSender&) = delete;
  NoticeSender& operator=(const NoticeSender&) = delete;

  /// Takes those that it does not have yet, up to kMostWaiting in all. Does not wait for a
  /// delivery.
  void add(const std::vector<ledger::Notice>& notices);

  struct Outcome {
    ledger::Id id = 0;
    ledger::NoticeDelivery delivery = ledger::NoticeDelivery::done;
  };
  /// What ended since the last call.
  [[nodiscard]] std::vector<Outcome> take_outcomes();
  [[nodiscard]] std::size_t waiting() const;

 private:
  struct Job {
    ledger::Notice notice;
    TimeNs due_ns = 0;  ///< monotonic
    int tries = 0;
    bool webhook_done = false;
    bool mail_done = false;
  };
  void work();
  void try_once(Job& job);
  [[nodiscard]] bool send_webhook(const ledger::Notice& notice) const;
  [[nodiscard]] bool mail(const ledger::Notice& notice) const;

  const NoticeOptions options_;
  const std::uint32_t node_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::map<ledger::Id, Job> jobs_;
  std::vector<Outcome> outcomes_;
  Stop stop_{false};
  std::thread thread_;
};

}  // namespace sluice::reconcile
