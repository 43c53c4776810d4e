#include "handover.hpp"

#include <fcntl.h>

#include <charconv>

namespace sluice::edge {
namespace {

template <class Number>
bool whole_number(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() && out >= 0;
}

bool read_socket(std::string_view text, std::vector<Handover::Socket>& out) {
  const std::size_t mark = text.find('=');
  if (mark == std::string_view::npos || mark + 1 == text.size()) return false;
  Handover::Socket socket{.fd = -1, .address = std::string(text.substr(mark + 1))};
  if (!whole_number(text.substr(0, mark), socket.fd)) return false;
  out.push_back(std::move(socket));
  return true;
}

bool read_elder(std::string_view text, std::vector<Handover::Elder>& out) {
  const std::size_t mark = text.find(':');
  if (mark == std::string_view::npos) return false;
  Handover::Elder elder;
  if (!whole_number(text.substr(0, mark), elder.pid) || elder.pid == 0 ||
      !whole_number(text.substr(mark + 1), elder.control)) {
    return false;
  }
  out.push_back(elder);
  return true;
}

bool read_part(std::string_view part, Handover& out) {
  if (part.empty()) return false;
  const std::string_view rest = part.substr(1);
  switch (part.front()) {
    case 'l':
      return read_socket(rest, out.listening);
    case 'm':
      return read_socket(rest, out.pages);
    case 's':
      return read_elder(rest, out.elders);
    default:
      return false;
  }
}

}  // namespace

std::string to_text(const Handover& handover) {
  std::string text = std::to_string(handover.generation);
  for (const auto& socket : handover.listening)
    text += ";l" + std::to_string(socket.fd) + "=" + socket.address;
  for (const auto& socket : handover.pages)
    text += ";m" + std::to_string(socket.fd) + "=" + socket.address;
  for (const auto& elder : handover.elders)
    text += ";s" + std::to_string(elder.pid) + ":" + std::to_string(elder.control);
  return text;
}

std::optional<Handover> parse_handover(std::string_view text) {
  Handover handover;
  std::size_t end = text.find(';');
  if (!whole_number(text.substr(0, end), handover.generation)) return std::nullopt;
  while (end != std::string_view::npos) {
    text.remove_prefix(end + 1);
    end = text.find(';');
    if (!read_part(text.substr(0, end), handover)) return std::nullopt;
  }
  return handover;
}

void set_inherited(const Handover& handover, bool inherited) {
  const int flags = inherited ? 0 : FD_CLOEXEC;
  for (const auto& socket : handover.listening) fcntl(socket.fd, F_SETFD, flags);
  for (const auto& socket : handover.pages) fcntl(socket.fd, F_SETFD, flags);
  for (const auto& elder : handover.elders) fcntl(elder.control, F_SETFD, flags);
}

}  // namespace sluice::edge
