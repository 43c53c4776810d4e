#include "labels.hpp"

#include <algorithm>
#include <cstring>

#include "sluice/dialect/flat_object.hpp"

namespace sluice::relay {
namespace {

constexpr std::size_t kMostKeyBytes =
    255;  // of an Idempotency-Key: as long as those who know it take

// Nothing that separates labels, and nothing that a terminal would act upon.
bool is_plain(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == ',';
  });
}

void add(std::string& tags, std::string_view name, std::string_view value) {
  const std::size_t bytes = (tags.empty() ? 0 : 1) + name.size() + 1 + value.size();
  if (name.empty() || value.empty() || tags.size() + bytes > state::kTagBytes) return;
  if (!is_plain(name) || !is_plain(value)) return;
  if (!tags.empty()) tags += ',';
  tags.append(name).append(1, '=').append(value);
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

// "team=core, ticket=ABC-1"
void add_list(std::string& tags, std::string_view list) {
  while (!list.empty()) {
    const std::size_t end = list.find(',');
    const std::string_view item = trimmed(list.substr(0, end));
    if (const std::size_t equals = item.find('='); equals != std::string_view::npos) {
      add(tags, trimmed(item.substr(0, equals)), trimmed(item.substr(equals + 1)));
    }
    if (end == std::string_view::npos) return;
    list.remove_prefix(end + 1);
  }
}

}  // namespace

ClientLabels read_labels(const Services& services, const http::RequestHead& head) {
  ClientLabels labels;
  std::string_view id = head.value(http::Field::x_client_request_id);
  if (id.empty()) id = head.value(http::Field::x_request_id);
  if (!id.empty()) add(labels.tags, "id", id);
  const std::string_view key = head.value(http::Field::idempotency_key);
  if (!key.empty() && key.size() <= kMostKeyBytes) {
    const Digest256 digest = services.client_keys.hashers.front()->hash(key);
    std::memcpy(labels.idem.data(), digest.data(), labels.idem.size());
  }
  return labels;
}

void add_labels(ClientLabels& labels, std::string_view list) { add_list(labels.tags, list); }

void add_label(ClientLabels& labels, std::string_view name, std::string_view value) {
  add(labels.tags, name, value);
}

void add_metadata(ClientLabels& labels, std::string_view metadata) {
  dialect::FlatObject members(metadata);
  while (const auto member = members.next()) add(labels.tags, member->name, member->value);
}

}  // namespace sluice::relay
