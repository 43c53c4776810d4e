// Reads TOML so strictly that a typo cannot hide: unknown keys, wrong types and impossible values
// each give one line with file, line and key. The library behind it (toml++) is heavy to compile
// and stays in one .cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/units.hpp"

namespace sluice {

/// One table of a document. Values are copied out; a field that is absent leaves the output as it
/// was and returns false. After the first problem everything returns false. Owned by whoever holds
/// it; the document stays alive.
class TomlTable {
 public:
  /// Parses a whole document. Syntax errors are the document's problem.
  [[nodiscard]] static TomlTable parse(std::string_view toml, std::string_view file_name);

  [[nodiscard]] bool has(std::string_view key) const;
  bool text(std::string_view key, std::string& out);
  /// A string, or a number as its shortest decimal text: for exact decimals such as prices.
  bool decimal_text(std::string_view key, std::string& out);
  bool boolean(std::string_view key, bool& out);
  /// An integer of [min, max].
  bool integer(std::string_view key, std::int64_t& out, std::int64_t min, std::int64_t max);
  bool texts(std::string_view key, std::vector<std::string>& out);
  bool integers(std::string_view key, std::vector<int>& out, std::int64_t min, std::int64_t max);
  /// "5s", "20ms" of [min, max].
  bool duration(std::string_view key, TimeNs& out, TimeNs min, TimeNs max);
  /// "32MiB" or a number of bytes of [min, max].
  bool size(std::string_view key, std::uint64_t& out, std::uint64_t min, std::uint64_t max);
  /// "10 USD" or a number, ≥ 0.
  bool usd(std::string_view key, Nanos& out);

  /// The table under a key; an empty one when it is absent.
  [[nodiscard]] TomlTable table(std::string_view key);
  /// The tables of [[key]].
  [[nodiscard]] std::vector<TomlTable> tables(std::string_view key);
  /// Keys that are tables themselves, in order of the file: [key.NAME]
  [[nodiscard]] std::vector<std::string> keys() const;

  /// Notes a problem at a key (or at the table, when the key is absent). The first one counts.
  void fail(std::string_view key, std::string_view text);
  /// Every key that nobody asked for is a problem. Call once all fields are read.
  void finish();

  [[nodiscard]] bool ok() const;
  /// "file:line: table.key: text", empty when ok.
  [[nodiscard]] const std::string& problem() const;

 private:
  struct Document;
  TomlTable(std::shared_ptr<Document> document, const void* table, std::string path);
  const void* find(std::string_view key);

  std::shared_ptr<Document> document_;
  const void* table_;  ///< toml::table, or null for an absent one
  std::string path_;
  std::vector<std::string> asked_;
};

}  // namespace sluice
