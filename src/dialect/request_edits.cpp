#include <algorithm>
#include <charconv>

#include "json_writer.hpp"
#include "sluice/dialect/request_scan.hpp"

namespace sluice::dialect {

/// Collects edits in order of their offset.
class EditWriter {
 public:
  explicit EditWriter(EditList& list) : list_(list) {}

  /// Text of the edit that the next add() makes.
  EditWriter& text(std::string_view text) {
    if (text.size() > list_.text_.size() - used_) {
      overflow_ = true;
      return *this;
    }
    std::memcpy(list_.text_.data() + used_, text.data(), text.size());
    used_ += text.size();
    return *this;
  }
  EditWriter& number(Tokens value) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    return text({digits, static_cast<std::size_t>(end - digits)});
  }
  /// A JSON string of `prefix` and `value`.
  EditWriter& quoted(std::string_view prefix, std::string_view value) {
    JsonWriter out({list_.text_.data() + used_, list_.text_.size() - used_});
    out.raw("\"").escaped(prefix).escaped(value).raw("\"");
    overflow_ |= out.overflow();
    used_ += out.size();
    return *this;
  }

  /// Replaces `size` bytes at `offset` by the text since the last add(). Equal offsets keep their
  /// order.
  void add(std::uint32_t offset, std::uint32_t size) {
    if (list_.count_ == EditList::kMaxEdits || overflow_) {
      overflow_ = true;
      return;
    }
    std::size_t at = list_.count_++;
    for (; at > 0 && list_.edits_[at - 1].offset > offset; --at)
      list_.edits_[at] = list_.edits_[at - 1];
    list_.edits_[at] = {offset, size, list_.text_used_,
                        static_cast<std::uint16_t>(used_ - list_.text_used_)};
    list_.text_used_ = static_cast<std::uint16_t>(used_);
  }
  void replace(const ValueSpan& value) { add(value.offset, value.size); }

  [[nodiscard]] bool overflow() const { return overflow_; }

 private:
  EditList& list_;
  std::size_t used_ = 0;
  bool overflow_ = false;
};

namespace {

void replace_model(const RequestScan& scan, std::string_view model, EditWriter& out) {
  if (!scan.model_value.present() || model.empty()) return;
  if (format_of(scan.operation) == Format::gemini) {
    // embedContent repeats the model of the path as a resource name.
    const bool resource = model.starts_with("models/") || model.starts_with("tunedModels/");
    out.quoted(resource ? "" : "models/", model).replace(scan.model_value);
    return;
  }
  if (model != scan.model.view()) out.quoted("", model).replace(scan.model_value);
}

void ask_for_usage(const RequestScan& scan, EditWriter& out) {
  const bool chat =
      scan.operation == Operation::openai_chat || scan.operation == Operation::openai_completions;
  if (!chat || !scan.stream || scan.include_usage) return;
  if (scan.include_usage_value.present()) return out.text("true").replace(scan.include_usage_value);
  if (scan.options_insert != 0) {
    out.text("\"include_usage\":true")
        .text(scan.options_empty ? "" : ",")
        .add(scan.options_insert, 0);
  } else if (scan.stream_options.present()) {
    out.text("{\"include_usage\":true}").replace(scan.stream_options);
  } else {
    out.text("\"stream_options\":{\"include_usage\":true},").add(scan.root_insert, 0);
  }
}

// A provider that knows no such member refuses the request for it.
void take_out_stream_options(const RequestScan& scan, std::string_view body, EditWriter& out) {
  if (!scan.stream_options.present() || body.size() != scan.body_bytes) return;
  constexpr std::string_view kBlanks = " \t\r\n";
  // Back over the colon to the opening quote: a name that spells stream_options holds no other.
  const std::size_t close = body.rfind('"', scan.stream_options.offset - 1);
  if (close == std::string_view::npos || close == 0) return;
  std::size_t begin = body.rfind('"', close - 1);
  if (begin == std::string_view::npos || begin == 0) return;
  std::size_t end = scan.stream_options.offset + std::size_t{scan.stream_options.size};
  const std::size_t after = body.find_first_not_of(kBlanks, end);
  const std::size_t before = body.find_last_not_of(kBlanks, begin - 1);
  if (after != std::string_view::npos && body[after] == ',') {
    end = after + 1;
  } else if (before != std::string_view::npos && body[before] == ',') {
    begin = before;
  }
  out.add(static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end - begin));
}

void clamp_gemini(const RequestScan& scan, Tokens cap, EditWriter& out) {
  if (scan.config_insert != 0) {
    out.text("\"maxOutputTokens\":")
        .number(cap)
        .text(scan.config_empty ? "" : ",")
        .add(scan.config_insert, 0);
  } else if (scan.config_value.present()) {
    out.text("{\"maxOutputTokens\":").number(cap).text("}").replace(scan.config_value);
  } else {
    out.text("\"generationConfig\":{\"maxOutputTokens\":").number(cap).text("}");
    out.text(scan.root_empty ? "" : ",").add(scan.root_insert, 0);
  }
}

void clamp_output(const RequestScan& scan, Tokens cap, std::string_view field, EditWriter& out) {
  if (cap < 0 || (scan.cap.tokens >= 0 && scan.cap.tokens <= cap)) return;
  if (scan.cap.first.present()) {
    out.number(cap).replace(scan.cap.first);
    if (scan.cap.second.present()) out.number(cap).replace(scan.cap.second);
    return;
  }
  switch (scan.operation) {
    case Operation::gemini_generate:
    case Operation::gemini_stream_generate:
      return clamp_gemini(scan, cap, out);
    case Operation::openai_responses:
      field = "max_output_tokens";
      break;
    case Operation::openai_completions:
    case Operation::claude_messages:
      field = "max_tokens";
      break;
    case Operation::openai_chat:
      if (field.empty()) field = "max_completion_tokens";
      break;
    default:
      return;
  }
  out.quoted("", field).text(":").number(cap).text(",").add(scan.root_insert, 0);
}

}  // namespace

EditList& EditList::operator=(const EditList& other) {
  if (this == &other) return *this;
  edits_ = other.edits_;
  text_used_ = other.text_used_;
  count_ = other.count_;
  std::memcpy(text_.data(), other.text_.data(), text_used_);
  return *this;
}

std::uint64_t EditList::edited_bytes(std::uint64_t body_bytes) const {
  for (std::size_t i = 0; i < count_; ++i)
    body_bytes += edits_[i].text_size - std::uint64_t{edits_[i].remove};
  return body_bytes;
}

Result<EditList> plan_edits(const RequestScan& scan, const EditWish& wish) {
  [[clang::uninitialized]] Result<EditList> result;  // its text is written before it is read
  EditWriter out(*result);
  replace_model(scan, wish.upstream_model, out);
  const bool without = !wish.without_stream_options.empty();
  if (wish.include_usage && !without) ask_for_usage(scan, out);
  clamp_output(scan, wish.output_cap, wish.cap_field, out);
  // Behind what is put in at the same place.
  if (without) take_out_stream_options(scan, wish.without_stream_options, out);
  if (out.overflow()) return fail(Errc::too_large);
  return result;
}

}  // namespace sluice::dialect
