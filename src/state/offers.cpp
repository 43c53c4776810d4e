#include "sluice/state/offers.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <optional>
#include <span>

#include "sluice/state/catalog_builder.hpp"

namespace sluice::state {
namespace {

constexpr std::string_view kPrefix = "offer.";
// The first line; then a name a line.
constexpr std::string_view kComplete = "complete\n";
constexpr std::string_view kPartial = "partial\n";
constexpr std::size_t kFileBytes = kComplete.size() + kOfferModels * (kOfferNameBytes + 1);

std::string name_of(std::uint32_t channel_id) {
  return std::string(kPrefix) + std::to_string(channel_id);
}

std::string path_of(const std::string& directory, std::uint32_t channel_id) {
  return directory + "/" + name_of(channel_id);
}

Result<std::string> read_small(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0)
    return fail(errno == ENOENT ? Errc::not_found : Errc::io, Source::self, Retry::no, errno);
  struct stat status{};
  const bool plain = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size >= 0 &&
                     static_cast<std::size_t>(status.st_size) <= kFileBytes;
  std::string text(plain ? static_cast<std::size_t>(status.st_size) : 0, '\0');
  const ssize_t got = plain ? ::read(fd, text.data(), text.size()) : -1;
  ::close(fd);
  if (got != static_cast<ssize_t>(text.size())) return fail(Errc::corrupt);
  return text;
}

/// Takes the first line off `text`; nothing where none ends in it.
std::optional<std::string_view> take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

}  // namespace

bool is_offered_name(std::string_view name) {
  return !name.empty() && name.size() <= kOfferNameBytes &&
         std::ranges::all_of(name, [](char c) { return c > ' ' && c < 127; });
}

Result<> write_offer(const std::string& epoch_directory, Offer offer) {
  std::erase_if(offer.models, [&](const std::string& name) {
    const bool bad = !is_offered_name(name);
    offer.complete = offer.complete && !bad;
    return bad;
  });
  if (offer.models.size() > kOfferModels) {
    offer.models.resize(kOfferModels);
    offer.complete = false;
  }
  std::string text(offer.complete ? kComplete : kPartial);
  for (const std::string& name : offer.models) text.append(name).append("\n");
  return write_file(epoch_directory, name_of(offer.channel_id),
                    std::as_bytes(std::span(text.data(), text.size())));
}

Result<std::vector<std::uint32_t>> offers_waiting(const std::string& epoch_directory,
                                                  std::size_t most) {
  std::error_code error;
  std::vector<std::uint32_t> channels;
  for (std::filesystem::directory_iterator at(epoch_directory, error), end;
       !error && at != end && channels.size() < most; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    std::uint32_t id = 0;
    const char* last = name.data() + name.size();
    const auto [stop, parsed] = std::from_chars(name.data() + kPrefix.size(), last, id);
    if (parsed == std::errc() && stop == last) channels.push_back(id);
  }
  if (error) return fail(Errc::io, Source::self, Retry::no, error.value());
  return channels;
}

Result<Offer> read_offer(const std::string& epoch_directory, std::uint32_t channel_id) {
  const auto text = read_small(path_of(epoch_directory, channel_id));
  if (!text) return std::unexpected(text.error());
  std::string_view rest = *text;
  Offer offer{.channel_id = channel_id};
  if (rest.starts_with(kComplete)) {
    offer.complete = true;
  } else if (!rest.starts_with(kPartial)) {
    return fail(Errc::corrupt);
  }
  static_cast<void>(take_line(rest));
  while (const auto name = take_line(rest)) {
    if (!is_offered_name(*name) || offer.models.size() == kOfferModels) return fail(Errc::corrupt);
    offer.models.emplace_back(*name);
  }
  if (!rest.empty()) return fail(Errc::corrupt);
  return offer;
}

void remove_offer(const std::string& epoch_directory, std::uint32_t channel_id) {
  ::unlink(path_of(epoch_directory, channel_id).c_str());
}

}  // namespace sluice::state
