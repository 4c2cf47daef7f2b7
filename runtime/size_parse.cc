#include "runtime/size_parse.h"

#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace spillway {
namespace {

// Digits after the point that are looked at; more are refused rather than ignored.
constexpr size_t kFractionDigitsMax = 9;

// Of what was given, that much is quoted in a message.
constexpr size_t kQuotedBytesMax = 64;

constexpr absl::string_view kUnits = "KMGTP";

// `text` in quotes, fit for one line of a message whatever it contains.
std::string Quoted(absl::string_view text) {
  const bool long_text = text.size() > kQuotedBytesMax;
  return absl::StrCat("'", absl::Utf8SafeCEscape(text.substr(0, kQuotedBytesMax)),
                      long_text ? "..." : "", "'");
}

absl::Status Refusal(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(Quoted(text), " ", why));
}

absl::Status NotASize(absl::string_view text) {
  return Refusal(
      text, "is not a size; write a number with K, M, G, T or KiB, MiB, GiB, TiB, such as 512MiB");
}

// A decimal number, exactly: integer + fraction / fraction_scale.
struct Decimal {
  uint64_t integer = 0;
  uint64_t fraction = 0;
  uint64_t fraction_scale = 1;
  size_t length = 0;  // characters taken
};

// Reads "12", "12.5" or ".5" from the start of `text`. nullopt if there is no number.
absl::StatusOr<std::optional<Decimal>> TakeDecimal(absl::string_view text,
                                                   absl::string_view whole_text) {
  Decimal number;
  size_t digits = 0;
  size_t at = 0;
  for (; at < text.size() && absl::ascii_isdigit(text[at]); ++at, ++digits) {
    const uint64_t digit = static_cast<uint64_t>(text[at] - '0');
    if (number.integer > (std::numeric_limits<uint64_t>::max() - digit) / 10) {
      return Refusal(whole_text, "is too large: it does not fit in 64 bits");
    }
    number.integer = number.integer * 10 + digit;
  }
  if (at < text.size() && text[at] == '.') {
    const size_t begin = ++at;
    for (; at < text.size() && absl::ascii_isdigit(text[at]); ++at, ++digits) {
      if (at - begin >= kFractionDigitsMax) {
        return Refusal(whole_text, "has too many digits after the point");
      }
      number.fraction = number.fraction * 10 + static_cast<uint64_t>(text[at] - '0');
      number.fraction_scale *= 10;
    }
  }
  if (digits == 0) return std::nullopt;
  number.length = at;
  return number;
}

// The number of bytes that a suffix stands for; nullopt if it is none.
std::optional<uint64_t> SuffixBytes(absl::string_view suffix) {
  if (suffix.empty() || suffix == "B" || suffix == "b") return 1;
  const size_t power = kUnits.find(absl::ascii_toupper(suffix[0]));
  if (power == absl::string_view::npos) return std::nullopt;
  const absl::string_view rest = suffix.substr(1);
  const bool binary = rest.empty() || absl::EqualsIgnoreCase(rest, "iB");
  if (!binary && !absl::EqualsIgnoreCase(rest, "B")) return std::nullopt;
  uint64_t bytes = 1;
  for (size_t i = 0; i <= power; ++i) bytes *= binary ? 1024 : 1000;
  return bytes;
}

// `number` of `unit_bytes` each, rounded down.
absl::StatusOr<uint64_t> Multiply(const Decimal& number, uint64_t unit_bytes,
                                  absl::string_view text) {
  using Wide = unsigned __int128;
  const Wide bytes = Wide{number.integer} * unit_bytes +
                     Wide{number.fraction} * unit_bytes / number.fraction_scale;
  if (bytes > std::numeric_limits<uint64_t>::max()) {
    return Refusal(text, "is too large: it does not fit in 64 bits");
  }
  return static_cast<uint64_t>(bytes);
}

// The number at the start of the trimmed `text`, with the refusals that all sizes have in common.
absl::StatusOr<Decimal> TakeNumber(absl::string_view trimmed, absl::string_view text) {
  if (trimmed.empty())
    return absl::InvalidArgumentError("the size is empty; write one such as 512MiB");
  if (trimmed[0] == '-') return Refusal(text, "is negative");
  absl::StatusOr<std::optional<Decimal>> number = TakeDecimal(trimmed, text);
  if (!number.ok()) return number.status();
  if (!number->has_value()) return NotASize(text);
  return **number;
}

}  // namespace

absl::StatusOr<uint64_t> ParseSize(absl::string_view text) {
  const absl::string_view trimmed = absl::StripAsciiWhitespace(text);
  absl::StatusOr<Decimal> number = TakeNumber(trimmed, text);
  if (!number.ok()) return number.status();
  absl::string_view suffix = trimmed.substr(number->length);
  if (absl::StartsWith(suffix, " ")) suffix.remove_prefix(1);
  if (suffix == "%")
    return Refusal(text, "is a percentage, and only a size in bytes can stand here");
  const std::optional<uint64_t> unit_bytes = SuffixBytes(suffix);
  if (!unit_bytes) return NotASize(text);
  return Multiply(*number, *unit_bytes, text);
}

bool IsPercentage(absl::string_view text) {
  return absl::EndsWith(absl::StripTrailingAsciiWhitespace(text), "%");
}

absl::StatusOr<uint64_t> ParseSizeOrPercentage(absl::string_view text, uint64_t whole_bytes) {
  if (!IsPercentage(text)) return ParseSize(text);
  const absl::string_view trimmed = absl::StripAsciiWhitespace(text);
  absl::StatusOr<Decimal> number = TakeNumber(trimmed, text);
  if (!number.ok()) return number.status();
  const absl::string_view sign = absl::StripLeadingAsciiWhitespace(trimmed.substr(number->length));
  if (sign != "%") return Refusal(text, "is not a percentage; write one such as 50%");
  const bool zero = number->integer == 0 && number->fraction == 0;
  const bool above = number->integer > 100 || (number->integer == 100 && number->fraction != 0);
  if (zero || above)
    return Refusal(text, "is out of range: a percentage is above 0% and at most 100%");
  using Wide = unsigned __int128;
  const Wide parts = Wide{number->integer} * number->fraction_scale + number->fraction;
  return static_cast<uint64_t>(parts * whole_bytes / (Wide{number->fraction_scale} * 100));
}

std::string FormatSize(uint64_t bytes) {
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  static constexpr std::array<const char*, 6> kNames = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  // 1023.95 would round to 1024.0 of its unit: it is shown in the next one.
  while (value >= 1023.95 && unit + 1 < kNames.size()) {
    value /= 1024;
    ++unit;
  }
  const double rounded = std::round(value * 10) / 10;
  if (rounded == std::floor(rounded)) return absl::StrFormat("%.0f %s", rounded, kNames[unit]);
  return absl::StrFormat("%.1f %s", rounded, kNames[unit]);
}

}  // namespace spillway
