// What a verb prints: records of named fields, as a table for people or JSON for programs.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace sluice::cli {

/// Money is text in USD (exact), so that no reader turns it into a double.
using Field = std::variant<std::string, std::int64_t, bool>;
using Record = std::vector<std::pair<std::string, Field>>;

/// A table with a head line, or a JSON array. All records have the same fields.
void print_list(bool json, const std::vector<Record>& records);
/// "name  value" lines, or a JSON object.
void print_record(bool json, const Record& record);
/// A JSON object with a list in it: `record`, then "<name>": [ … ]; for people the record and then
/// the table.
void print_record_with(bool json, const Record& record, const std::string& name,
                       const std::vector<Record>& list);

/// One JSON object as text without a line end: for files.
[[nodiscard]] std::string to_json(const Record& record);

}  // namespace sluice::cli
