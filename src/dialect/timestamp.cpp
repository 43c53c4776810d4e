#include "timestamp.hpp"

#include <algorithm>

namespace sluice::dialect {
namespace {

void digits(char* out, std::int64_t value, int count) {
  for (int i = count; i-- > 0; value /= 10) out[i] = static_cast<char>('0' + value % 10);
}

}  // namespace

// Days to civil date by the proleptic Gregorian calendar, years counted from March.
Timestamp::Timestamp(std::int64_t seconds) {
  constexpr std::int64_t kLast = 253'402'300'799;  // 9999-12-31T23:59:59
  seconds = std::clamp<std::int64_t>(seconds, 0, kLast);
  const std::int64_t days = seconds / 86'400 + 719'468;  // since 0000-03-01
  const std::int64_t era = days / 146'097;
  const std::int64_t day_of_era = days % 146'097;
  const std::int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const std::int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t month_from_march = (5 * day_of_year + 2) / 153;
  const std::int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
  constexpr std::string_view kShape = "0000-00-00T00:00:00Z";
  std::copy(kShape.begin(), kShape.end(), text_.begin());
  digits(text_.data(), year_of_era + era * 400 + (month <= 2 ? 1 : 0), 4);
  digits(text_.data() + 5, month, 2);
  digits(text_.data() + 8, day_of_year - (153 * month_from_march + 2) / 5 + 1, 2);
  digits(text_.data() + 11, seconds % 86'400 / 3600, 2);
  digits(text_.data() + 14, seconds / 60 % 60, 2);
  digits(text_.data() + 17, seconds % 60, 2);
}

}  // namespace sluice::dialect
