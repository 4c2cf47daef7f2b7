#include "runtime/internal/task_error.h"

#include <cxxabi.h>

#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <typeinfo>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace spillway::internal {

namespace {

// The message without names, and the names: "count NUL name NUL name ...".
constexpr absl::string_view kReasonUrl = "spillway/reason";
constexpr absl::string_view kTasksUrl = "spillway/tasks";
// Of what began as an exception.
constexpr absl::string_view kExceptionUrl = "spillway/exception";
// Of what an actor declares fatal.
constexpr absl::string_view kFatalUrl = "spillway/fatal";

absl::Status Compose(const absl::Status& from, const std::string& reason, int count,
                     const std::vector<std::string>& names) {
  std::string message = absl::StrCat(reason, " [in task ", names[0]);
  if (names.size() > 1) {
    absl::StrAppend(&message, "; needed by ", absl::StrJoin(names.begin() + 1, names.end(), ", "));
  }
  const int more = count - static_cast<int>(names.size());
  if (more > 0) absl::StrAppend(&message, " and ", more, " more");
  message += "]";
  absl::Status status(from.code(), message);
  from.ForEachPayload([&status](absl::string_view url, const absl::Cord& payload) {
    // What only concerns the actor in which the failure began stays there.
    if (url != kExceptionUrl && url != kFatalUrl) status.SetPayload(url, payload);
  });
  status.SetPayload(kReasonUrl, absl::Cord(reason));
  std::string tasks = absl::StrCat(count);
  for (const std::string& name : names) {
    tasks += '\0';
    tasks += name;
  }
  status.SetPayload(kTasksUrl, absl::Cord(tasks));
  return status;
}

}  // namespace

absl::Status FailureOf(absl::string_view name, const absl::Status& status) {
  // What a task hands on from another's result says already where it comes from.
  if (status.GetPayload(kTasksUrl)) return FailureByArgument(name, status);
  return Compose(status, std::string(status.message()), 1, {std::string(name)});
}

absl::Status FailureByArgument(absl::string_view name, const absl::Status& failure) {
  const absl::optional<absl::Cord> tasks = failure.GetPayload(kTasksUrl);
  const absl::optional<absl::Cord> reason = failure.GetPayload(kReasonUrl);
  if (!tasks || !reason) {
    return Compose(failure, absl::StrCat("an argument has no value: ", failure.message()), 1,
                   {std::string(name)});
  }
  std::vector<std::string> names = absl::StrSplit(std::string(*tasks), '\0');
  int count = 0;
  if (!absl::SimpleAtoi(names[0], &count)) count = 0;
  names.erase(names.begin());
  if (names.size() < kTasksNamedMax) names.emplace_back(name);
  return Compose(failure, std::string(*reason), count + 1, names);
}

namespace {

absl::Status ExceptionError(const std::string& message) {
  absl::Status status = absl::InternalError(message);
  status.SetPayload(kExceptionUrl, absl::Cord("1"));
  return status;
}

}  // namespace

absl::Status MarkFatal(absl::Status failure) {
  if (!failure.ok()) failure.SetPayload(kFatalUrl, absl::Cord("1"));
  return failure;
}

bool IsMarkedFatal(const absl::Status& failure) {
  return failure.GetPayload(kFatalUrl).has_value();
}

bool IsException(const absl::Status& failure) {
  return failure.GetPayload(kExceptionUrl).has_value();
}

absl::Status StatusOfException() {
  try {
    throw;
  } catch (const std::exception& error) {
    int failed = 0;
    const std::unique_ptr<char, void (*)(void*)> name(
        abi::__cxa_demangle(typeid(error).name(), nullptr, nullptr, &failed), &std::free);
    return ExceptionError(
        absl::StrCat("exception ", failed == 0 ? name.get() : "", ": ", error.what()));
  } catch (...) {
    return ExceptionError("exception of a type that is no std::exception");
  }
}

}  // namespace spillway::internal
