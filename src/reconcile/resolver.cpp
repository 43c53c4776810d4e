#include "resolver.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

namespace sluice::reconcile {
namespace {

constexpr std::size_t kThreads = 4;
constexpr std::size_t kMostAddresses = 64;

std::optional<IpAddress> address_of(const addrinfo& info) {
  if (info.ai_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(info.ai_addr);
    return ip_from_bytes({reinterpret_cast<const std::uint8_t*>(&v4->sin_addr), 4});
  }
  if (info.ai_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(info.ai_addr);
    return ip_from_bytes({reinterpret_cast<const std::uint8_t*>(&v6->sin6_addr), 16});
  }
  return std::nullopt;
}

}  // namespace

Result<std::vector<IpAddress>> system_lookup(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  const int rc = getaddrinfo(host.c_str(), nullptr, &hints, &list);
  if (rc == EAI_NONAME || rc == EAI_NODATA || rc == EAI_ADDRFAMILY) return fail(Errc::not_found);
  if (rc != 0) return fail(Errc::unavailable, Source::self, Retry::yes);
  std::vector<IpAddress> addresses;
  for (const addrinfo* each = list; each != nullptr && addresses.size() < kMostAddresses;
       each = each->ai_next) {
    const auto address = address_of(*each);
    if (address && std::ranges::find(addresses, *address) == addresses.end())
      addresses.push_back(*address);
  }
  freeaddrinfo(list);
  return addresses;
}

struct Resolver::Shared {
  Lookup lookup;
  int event_fd = -1;
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::string> questions;
  std::set<std::string> asked;  ///< waiting or under way
  std::vector<Resolved> answers;
  bool stopping = false;

  ~Shared() {
    if (event_fd >= 0) close(event_fd);
  }
  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, [this] { return stopping || !questions.empty(); });
      if (stopping) return;
      const std::string host = std::move(questions.front());
      questions.pop_front();
      lock.unlock();
      auto addresses = lookup(host);
      lock.lock();
      asked.erase(host);
      answers.push_back({host, std::move(addresses)});
      const std::uint64_t one = 1;
      // An eventfd that is full is readable, which is all that is wanted.
      if (write(event_fd, &one, sizeof one) < 0) continue;
    }
  }
};

Resolver::Resolver(Lookup lookup) : shared_(std::make_shared<Shared>()) {
  shared_->lookup = std::move(lookup);
  shared_->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  for (std::size_t i = 0; i < kThreads; ++i) {
    std::thread([shared = shared_] { shared->work(); }).detach();
  }
}

Resolver::~Resolver() {
  const std::scoped_lock lock(shared_->mutex);
  shared_->stopping = true;
  shared_->wake.notify_all();
}

void Resolver::ask(const std::string& host) {
  const std::scoped_lock lock(shared_->mutex);
  if (!shared_->asked.insert(host).second) return;
  shared_->questions.push_back(host);
  shared_->wake.notify_one();
}

std::vector<Resolved> Resolver::take() {
  const std::scoped_lock lock(shared_->mutex);
  std::uint64_t count = 0;
  if (read(shared_->event_fd, &count, sizeof count) < 0) count = 0;
  return std::exchange(shared_->answers, {});
}

std::size_t Resolver::open_questions() const {
  const std::scoped_lock lock(shared_->mutex);
  return shared_->asked.size();
}

int Resolver::fd() const { return shared_->event_fd; }

}  // namespace sluice::reconcile
