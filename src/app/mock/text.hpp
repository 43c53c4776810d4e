// Small pieces of text that several renderers share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "request_facts.hpp"

namespace sluice::mock {

/// One HTTP chunk (RFC 9112 §7.1) around `payload`.
void append_framed(std::string& out, std::string_view payload);

/// One server-sent event, framed as one HTTP chunk. An empty name means no `event:` line.
void append_event(std::string& out, std::string_view name, std::string_view data);

/// Head and body of a JSON answer with a length.
void append_json(std::string& out, int status, Family family, std::uint64_t id,
                 std::string_view body, std::string_view more_fields = {});

/// A provider's error answer in the family's own shape.
void append_error(std::string& out, int status, Family family, std::uint64_t id,
                  std::string_view message, int retry_after_s = -1);

/// The error object alone, as it also stands in error events.
[[nodiscard]] std::string error_object(int status, Family family, std::uint64_t id,
                                       std::string_view message);

/// Escapes for a JSON string; bytes over 0x7f pass as they are.
void append_escaped(std::string& out, std::string_view text);

[[nodiscard]] std::string_view request_id_field(Family family);

}  // namespace sluice::mock
