// What texts may hold that later stand in requests to providers: no byte that could end a header or
// a line.
#pragma once

#include <string>
#include <string_view>

namespace sluice::state {

/// 1 to 256 bytes without controls, spaces or DEL.
[[nodiscard]] bool name_valid(std::string_view text);
/// Up to 256 bytes without controls or DEL.
[[nodiscard]] bool value_valid(std::string_view text);
/// Lower-case host name, IPv4 or IPv6 literal without brackets.
[[nodiscard]] bool host_valid(std::string_view text);
/// Empty, or starts with '/' and does not end with it; visible ASCII without '?', '#' and "..".
[[nodiscard]] bool base_path_valid(std::string_view text);
/// "Name: value\r\n" lines (RFC 9110 §5.5, §5.6.2), none that frames a message.
[[nodiscard]] bool header_lines_valid(std::string_view text);
/// "CODE CLASS\n" lines of visible ASCII, 1 to 60 bytes each word.
[[nodiscard]] bool error_lines_valid(std::string_view text);
/// `*` in `pattern` matches any run of characters.
[[nodiscard]] bool glob_matches(std::string_view pattern, std::string_view text);
[[nodiscard]] std::string lower(std::string_view text);
/// Bytes that do not print as '?', cut to 60: for messages.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace sluice::state
