#include "tools/spillway/command_line.h"

#include <algorithm>
#include <numeric>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "gflags/gflags.h"

namespace spillway {
namespace {

// More edits than this are another word, not a slip.
constexpr size_t kEditsMax = 3;

// Levenshtein's distance, by the row-wise method of Wagner and Fischer.
size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

// One word that is a flag, taken apart.
struct FlagWord {
  std::string name;
  std::string value;
  bool has_value = false;
};

FlagWord TakeApart(absl::string_view word) {
  absl::ConsumePrefix(&word, "-");
  absl::ConsumePrefix(&word, "-");
  const size_t equals = word.find('=');
  FlagWord flag;
  flag.name = absl::StrReplaceAll(word.substr(0, equals), {{"-", "_"}});
  flag.has_value = equals != absl::string_view::npos;
  if (flag.has_value) flag.value = std::string(word.substr(equals + 1));
  return flag;
}

absl::Status UnknownFlag(const std::string& name, absl::Span<const std::string> flags) {
  const std::string nearest = Nearest(name, flags);
  return absl::InvalidArgumentError(
      absl::StrCat("unknown flag --", name,
                   nearest.empty() ? "" : absl::StrCat("; did you mean --", nearest, "?")));
}

std::string TypeForPeople(const std::string& type) {
  if (type == "bool") return "true or false";
  if (type == "double") return "a number";
  if (type == "string") return "text";
  return absl::StartsWith(type, "u") ? "a whole number that is not negative" : "a whole number";
}

// Turns --nofoo into --foo=false where foo is a boolean of ours.
void TakeNegation(absl::Span<const std::string> flags, FlagWord* flag) {
  absl::string_view positive = flag->name;
  if (flag->has_value || !absl::ConsumePrefix(&positive, "no")) return;
  gflags::CommandLineFlagInfo info;
  const std::string name(positive);
  if (!absl::c_linear_search(flags, name)) return;
  if (!gflags::GetCommandLineFlagInfo(name.c_str(), &info) || info.type != "bool") return;
  *flag = {name, "false", true};
}

}  // namespace

std::string Nearest(const std::string& word, absl::Span<const std::string> names) {
  std::string nearest;
  size_t distance = std::min(kEditsMax, word.size() / 2) + 1;
  for (const std::string& name : names) {
    const size_t edits = EditDistance(word, name);
    if (edits < distance) {
      distance = edits;
      nearest = name;
    }
  }
  return nearest;
}

absl::StatusOr<std::vector<std::string>> ReadFlags(absl::Span<const std::string> words,
                                                   absl::Span<const std::string> flags) {
  std::vector<std::string> others;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") {
      others.insert(others.end(), words.begin() + i + 1, words.end());
      break;
    }
    if (!absl::StartsWith(word, "-") || word == "-") {
      others.push_back(word);
      continue;
    }
    FlagWord flag = TakeApart(word);
    TakeNegation(flags, &flag);
    gflags::CommandLineFlagInfo info;
    if (!absl::c_linear_search(flags, flag.name) ||
        !gflags::GetCommandLineFlagInfo(flag.name.c_str(), &info)) {
      return UnknownFlag(flag.name, flags);
    }
    if (!flag.has_value && info.type == "bool") {
      flag.value = "true";
    } else if (!flag.has_value) {
      if (i + 1 == words.size()) {
        return absl::InvalidArgumentError(
            absl::StrCat("--", flag.name, ": a value is missing; write --", flag.name, "=VALUE"));
      }
      flag.value = words[++i];
    }
    if (gflags::SetCommandLineOption(flag.name.c_str(), flag.value.c_str()).empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", flag.name, ": '", flag.value, "' is not ", TypeForPeople(info.type)));
    }
  }
  return others;
}

}  // namespace spillway
