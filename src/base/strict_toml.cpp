#include "sluice/base/strict_toml.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>

#include "sluice/base/text_units.hpp"

namespace sluice {

struct TomlTable::Document {
  toml::table root;
  std::string file;
  std::string problem;
};

namespace {

const toml::table* as_table(const void* table) { return static_cast<const toml::table*>(table); }
const toml::node* as_node(const void* node) { return static_cast<const toml::node*>(node); }

// Keys in quotes may hold anything, and a problem is one line of a log.
std::string one_line(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

TomlTable::TomlTable(std::shared_ptr<Document> document, const void* table, std::string path)
    : document_(std::move(document)), table_(table), path_(std::move(path)) {}

TomlTable TomlTable::parse(std::string_view toml, std::string_view file_name) {
  auto document = std::make_shared<Document>();
  document->file = file_name;
  try {
    document->root = toml::parse(toml, file_name);
  } catch (const toml::parse_error& error) {
    document->problem = one_line(
        fmt::format("{}:{}: {}", file_name, error.source().begin.line, error.description()));
  }
  const void* root = &document->root;
  return TomlTable(std::move(document), root, {});
}

bool TomlTable::has(std::string_view key) const {
  return table_ != nullptr && as_table(table_)->contains(key);
}

const void* TomlTable::find(std::string_view key) {
  asked_.emplace_back(key);
  if (table_ == nullptr || !ok()) return nullptr;
  return as_table(table_)->get(key);
}

bool TomlTable::text(std::string_view key, std::string& out) {
  const auto* node = as_node(find(key));
  if (node == nullptr) return false;
  if (const auto* value = node->as_string()) {
    out = value->get();
    return true;
  }
  fail(key, "must be a string in quotes");
  return false;
}

bool TomlTable::decimal_text(std::string_view key, std::string& out) {
  const auto* node = as_node(find(key));
  if (node == nullptr) return false;
  if (const auto* value = node->as_string()) {
    out = value->get();
  } else if (const auto* whole = node->as_integer()) {
    out = fmt::format("{}", whole->get());
  } else if (const auto* real = node->as_floating_point()) {
    // The shortest text that reads back as the same double is what was typed, up to 15 digits. fmt
    // writes very small ones with an exponent, which the decimal parsers refuse: such a value must
    // be quoted.
    out = fmt::format("{}", real->get());
  } else {
    fail(key, "must be a number, or a number in quotes");
    return false;
  }
  return true;
}

bool TomlTable::boolean(std::string_view key, bool& out) {
  const auto* node = as_node(find(key));
  if (node == nullptr) return false;
  if (const auto* value = node->as_boolean()) {
    out = value->get();
    return true;
  }
  fail(key, "must be true or false");
  return false;
}

bool TomlTable::integer(std::string_view key, std::int64_t& out, std::int64_t min,
                        std::int64_t max) {
  const auto* node = as_node(find(key));
  if (node == nullptr) return false;
  const auto* value = node->as_integer();
  if (value == nullptr || value->get() < min || value->get() > max) {
    fail(key, fmt::format("must be a whole number, {} to {}", min, max));
    return false;
  }
  out = value->get();
  return true;
}

bool TomlTable::texts(std::string_view key, std::vector<std::string>& out) {
  const auto* node = as_node(find(key));
  if (node == nullptr) return false;
  const auto* array = node->as_array();
  std::vector<std::string> values;
  bool right = array != nullptr;
  if (right) {
    for (const toml::node& item : *array) {
      const auto* value = item.as_string();
      right = right && value != nullptr;
      if (value != nullptr) values.push_back(value->get());
    }
  }
  if (!right) {
    fail(key, "must be a list of strings");
    return false;
  }
  out = std::move(values);
  return true;
}

bool TomlTable::integers(std::string_view key, std::vector<int>& out, std::int64_t min,
                         std::int64_t max) {
  const auto* node = as_node(find(key));
  if (node == nullptr) return false;
  const auto* array = node->as_array();
  std::vector<int> values;
  bool right = array != nullptr;
  if (right) {
    for (const toml::node& item : *array) {
      const auto* value = item.as_integer();
      right = right && value != nullptr && value->get() >= min && value->get() <= max;
      if (right) values.push_back(static_cast<int>(value->get()));
    }
  }
  if (!right) {
    fail(key, fmt::format("must be a list of whole numbers, each {} to {}", min, max));
    return false;
  }
  out = std::move(values);
  return true;
}

bool TomlTable::duration(std::string_view key, TimeNs& out, TimeNs min, TimeNs max) {
  std::string value;
  if (!text(key, value)) return false;
  const auto parsed = parse_duration(value);
  if (!parsed) {
    fail(key, "must be a duration such as \"20ms\", \"5s\" or \"1h\"");
  } else if (*parsed < min || *parsed > max) {
    fail(key, fmt::format("must be {} to {}", format_duration(min), format_duration(max)));
  } else {
    out = *parsed;
    return true;
  }
  return false;
}

bool TomlTable::size(std::string_view key, std::uint64_t& out, std::uint64_t min,
                     std::uint64_t max) {
  std::string value;
  if (!decimal_text(key, value)) return false;
  const auto parsed = parse_size(value);
  if (!parsed) {
    fail(key, "must be a size such as \"16KiB\", \"32MiB\" or a number of bytes");
  } else if (*parsed < min || *parsed > max) {
    fail(key, fmt::format("must be {} to {}", format_size(min), format_size(max)));
  } else {
    out = *parsed;
    return true;
  }
  return false;
}

bool TomlTable::usd(std::string_view key, Nanos& out) {
  std::string value;
  if (!decimal_text(key, value)) return false;
  const auto parsed = parse_usd(value);
  if (!parsed) {
    fail(key, "must be an amount such as \"10 USD\", not negative, at most nine decimals");
    return false;
  }
  out = *parsed;
  return true;
}

TomlTable TomlTable::table(std::string_view key) {
  const auto* node = as_node(find(key));
  const toml::table* inner = nullptr;
  if (node != nullptr) {
    inner = node->as_table();
    if (inner == nullptr) fail(key, "must be a table");
  }
  return TomlTable(document_, inner,
                   path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key));
}

std::vector<TomlTable> TomlTable::tables(std::string_view key) {
  std::vector<TomlTable> out;
  const auto* node = as_node(find(key));
  if (node == nullptr) return out;
  const auto* array = node->as_array();
  bool right = array != nullptr;
  if (right) {
    for (const toml::node& item : *array) {
      const toml::table* inner = item.as_table();
      right = right && inner != nullptr;
      if (inner != nullptr) {
        out.push_back(TomlTable(
            document_, inner, path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key)));
      }
    }
  }
  if (!right) {
    fail(key, fmt::format("must be tables: [[{}]]", key));
    out.clear();
  }
  return out;
}

std::vector<std::string> TomlTable::keys() const {
  std::vector<std::string> out;
  if (table_ == nullptr) return out;
  for (const auto& [key, value] : *as_table(table_)) out.emplace_back(key.str());
  return out;
}

void TomlTable::fail(std::string_view key, std::string_view text) {
  if (!ok()) return;
  toml::source_index line = 0;
  if (table_ != nullptr) {
    const toml::node* node = as_table(table_)->get(key);
    line = node != nullptr ? node->source().begin.line : as_table(table_)->source().begin.line;
  }
  std::string name = path_;
  if (!key.empty()) name += (name.empty() ? "" : ".") + std::string(key);
  document_->problem =
      one_line(fmt::format("{}:{}: {}{}{}", document_->file, line == 0 ? 1 : line, name,
                           name.empty() ? "" : ": ", text));
}

void TomlTable::finish() {
  if (table_ == nullptr || !ok()) return;
  for (const auto& [key, value] : *as_table(table_)) {
    if (std::find(asked_.begin(), asked_.end(), key.str()) == asked_.end()) {
      return fail(key.str(), "unknown key");
    }
  }
}

bool TomlTable::ok() const { return document_->problem.empty(); }
const std::string& TomlTable::problem() const { return document_->problem; }

}  // namespace sluice
