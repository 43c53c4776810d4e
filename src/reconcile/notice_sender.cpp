#include "notice_sender.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "episode.hpp"
#include "notice_text.hpp"
#include "sluice/control/webhook.hpp"

namespace sluice::reconcile {
namespace {

constexpr TimeNs kFirstPauseNs = kSecond;  // doubled from try to try
constexpr TimeNs kLongestPauseNs = 600 * kSecond;
constexpr TimeNs kGiveUpNs = 86'400 * kSecond;  // after the event
constexpr auto kLook = std::chrono::milliseconds(200);

}  // namespace

NoticeSender::NoticeSender(NoticeOptions options, std::uint32_t node, const Clock& clock)
    : options_(std::move(options)), node_(node), clock_(clock) {
  thread_ = std::thread([this] { work(); });
}

NoticeSender::~NoticeSender() {
  stop_ = true;
  wake_.notify_all();
  thread_.join();
}

void NoticeSender::add(const std::vector<ledger::Notice>& notices) {
  const std::scoped_lock lock(mutex_);
  for (const ledger::Notice& notice : notices) {
    const bool ended =
        std::ranges::any_of(outcomes_, [&](const Outcome& each) { return each.id == notice.id; });
    if (jobs_.size() < kMostWaiting && !ended) jobs_.try_emplace(notice.id, Job{.notice = notice});
  }
  wake_.notify_one();
}

std::vector<NoticeSender::Outcome> NoticeSender::take_outcomes() {
  const std::scoped_lock lock(mutex_);
  return std::exchange(outcomes_, {});
}

std::size_t NoticeSender::waiting() const {
  const std::scoped_lock lock(mutex_);
  return jobs_.size();
}

void NoticeSender::work() {
  Episode trouble;
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const TimeNs now_ns = clock_.monotonic_ns();
    const auto due =
        std::ranges::find_if(jobs_, [&](const auto& each) { return each.second.due_ns <= now_ns; });
    if (due == jobs_.end()) {
      wake_.wait_for(lock, kLook);
      continue;
    }
    Job job = due->second;
    lock.unlock();
    try_once(job);
    const bool done = job.webhook_done && job.mail_done;
    const bool late = clock_.realtime_ns() - job.notice.at_ns > kGiveUpNs;
    if (done) {
      trouble.end("notices are delivered again");
    } else {
      trouble.begin("a notice cannot be delivered, will try again: " +
                    std::string(job.webhook_done ? "the mail server" : "the webhook") +
                    " did not take it");
    }
    const TimeNs pause_ns = std::min(kLongestPauseNs, kFirstPauseNs << std::min(job.tries, 20));
    job.due_ns = clock_.monotonic_ns() + pause_ns;
    ++job.tries;
    lock.lock();
    if (done || late) {
      outcomes_.push_back(
          {job.notice.id, done ? ledger::NoticeDelivery::done : ledger::NoticeDelivery::given_up});
      jobs_.erase(job.notice.id);
    } else {
      jobs_[job.notice.id] = std::move(job);
    }
  }
}

void NoticeSender::try_once(Job& job) {
  if (!job.webhook_done)
    job.webhook_done = options_.webhook_url.empty() || send_webhook(job.notice);
  if (!job.mail_done) job.mail_done = options_.mail.url.empty() || mail(job.notice);
}

// The signature is of the moment of sending: a receiver refuses what is older than its tolerance,
// and knows a repetition by its id.
bool NoticeSender::send_webhook(const ledger::Notice& notice) const {
  const std::string id = message_id(node_, notice.id);
  const std::string timestamp = std::to_string(clock_.realtime_ns() / kSecond);
  const Result<int> status =
      post({.url = options_.webhook_url,
            .headers = {"Content-Type: application/json", "Expect:", "webhook-id: " + id,
                        "webhook-timestamp: " + timestamp,
                        "webhook-signature: " + control::webhook_signature(options_.webhook_key, id,
                                                                           timestamp, notice.body)},
            .body = notice.body},
           stop_);
  return status && *status >= 200 && *status < 300;
}

bool NoticeSender::mail(const ledger::Notice& notice) const {
  const std::string message =
      mail_text(notice, message_id(node_, notice.id), options_.mail_from, options_.mail_to);
  return send_mail(
             {options_.mail.url, options_.mail.plain, options_.mail.user, options_.mail.password},
             options_.mail_from, options_.mail_to, message, stop_)
      .has_value();
}

}  // namespace sluice::reconcile
