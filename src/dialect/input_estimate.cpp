// What the parts of a request that are not text cost, facts/wire §7. All meant to be upper bounds
// of common cases.
#include <algorithm>

#include "sluice/dialect/request_scan.hpp"

namespace sluice::dialect {
namespace {

constexpr std::uint64_t kBase = 8;           ///< priming of the reply
constexpr std::uint64_t kPerMessage = 5;     ///< role and delimiters
constexpr std::uint64_t kPerTool = 12;       ///< wrapping of a declaration
constexpr std::uint64_t kClaudeTools = 500;  ///< Claude's own prompt when there are tools
constexpr std::uint64_t kAudio = 256;
constexpr std::uint64_t kAudioBytesPerToken =
    256;  ///< base64 of speech at low rates, 32 tokens a second
constexpr std::uint64_t kVideo = 8192;
constexpr std::uint64_t kDocument = 4096;
constexpr std::uint64_t kDocumentBytesPerToken =
    32;  ///< a PDF page: 1,500 to 3,000 tokens in 50 to 100 KB
constexpr std::uint64_t kOpaqueBytesPerToken = 5;

std::uint64_t image_tokens(Format format) {
  switch (format) {
    case Format::claude:
      return 4784;  // 28 × 28 pixel patches at the largest size that is not scaled down
    case Format::gemini:
      return 1100;
    case Format::openai:
    case Format::responses:
      return 2900;  // 32 × 32 patches × 1.2 at detail: high
  }
  return 4784;
}

}  // namespace

Tokens estimate_input_tokens(const RequestScan& scan) {
  const Format format = format_of(scan.operation);
  std::uint64_t tokens =
      static_cast<std::uint64_t>(estimate_tokens(format, scan.text)) + scan.input_token_ids;
  tokens += kBase + kPerMessage * scan.messages + kPerTool * scan.tools;
  if (format == Format::claude && scan.tools != 0) tokens += kClaudeTools;
  tokens += image_tokens(format) * scan.images + kVideo * scan.videos;
  tokens += std::max(kAudio * scan.audios, scan.audio_bytes / kAudioBytesPerToken);
  tokens += std::max(kDocument * scan.documents, scan.document_bytes / kDocumentBytesPerToken);
  tokens += scan.opaque_bytes / kOpaqueBytesPerToken;
  return static_cast<Tokens>(tokens);
}

}  // namespace sluice::dialect
