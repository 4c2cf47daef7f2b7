// The `spillway` program: one binary, several subcommands.
//
// Exit codes: 0 done, 1 failed, 2 called wrongly; a signal's own if one ended it. An error is one
// line on standard error.

#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gflags/gflags.h"
#include "glog/logging.h"
#include "tools/spillway/command.h"
#include "tools/spillway/command_line.h"
#include "tools/spillway/inspect_commands.h"
#include "tools/spillway/interruption.h"
#include "tools/spillway/schema_command.h"
#include "tools/spillway/sort_command.h"
#include "tools/spillway/version.h"

namespace spillway {
namespace {

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;

// Flags that every subcommand takes: glog's, for looking inside.
const char* const kLogFlags[] = {"minloglevel", "v", "vmodule"};

absl::Status RunVersion(const std::vector<std::string>& arguments) {
  if (!arguments.empty()) return absl::InvalidArgumentError("it takes no arguments");
  absl::PrintF("spillway %s\n", kVersion);
  return absl::OkStatus();
}

// A flag's default as people write it: gflags shows a number's last binary digit.
std::string DefaultForPeople(const gflags::CommandLineFlagInfo& info) {
  double number = 0;
  if (info.type == "string") return absl::StrCat("\"", info.default_value, "\"");
  if (info.type == "double" && absl::SimpleAtod(info.default_value, &number))
    return absl::StrCat(number);
  return info.default_value;
}

void PrintFlag(const std::string& name) {
  const gflags::CommandLineFlagInfo info = gflags::GetCommandLineFlagInfoOrDie(name.c_str());
  absl::PrintF("  --%s (default %s)\n      %s\n", name, DefaultForPeople(info), info.description);
}

absl::Status RunHelp(const std::vector<std::string>& arguments) {
  if (arguments.empty()) {
    absl::PrintF("Objects larger than memory, at memory speed.\n\nusage: spillway COMMAND ...\n\n");
    for (const Command& command : Commands())
      absl::PrintF("  %-8s %s\n", command.name, command.summary);
    absl::PrintF("\n`spillway help COMMAND` tells more.\n");
    return absl::OkStatus();
  }
  const Command* const command = FindCommand(arguments[0]);
  if (command == nullptr || arguments.size() > 1) {
    return absl::InvalidArgumentError(absl::StrCat("there is no command '", arguments.back(), "'"));
  }
  absl::PrintF("usage: spillway %s [FLAG...] %s\n\n%s\n", command->name, command->arguments,
               absl::StrCat(command->summary, "."));
  if (!command->details.empty()) absl::PrintF("\n%s", command->details);
  if (!command->flags.empty()) absl::PrintF("\nFlags:\n");
  for (const std::string& flag : command->flags) PrintFlag(flag);
  return absl::OkStatus();
}

std::vector<Command>* MakeCommands() {
  auto* const commands = new std::vector<Command>;
  commands->push_back(SortCommand());
  commands->push_back(SchemaCommand());
  commands->push_back(LsCommand());
  commands->push_back(StatCommand());
  commands->push_back(VerifyCommand());
  commands->push_back(GetCommand());
  commands->push_back({.name = "version",
                       .arguments = "",
                       .summary = "print the version",
                       .details = "",
                       .flags = {},
                       .run = RunVersion});
  commands->push_back({.name = "help",
                       .arguments = "[COMMAND]",
                       .summary = "explain the commands and their flags",
                       .details = "",
                       .flags = {},
                       .run = RunHelp});
  return commands;
}

// One line on standard error, whatever the message contains.
void PrintError(absl::string_view who, absl::string_view message) {
  std::string line = absl::StrCat(who, ": ", message);
  for (char& c : line) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  absl::FPrintF(stderr, "%s\n", line);
}

int RunCommand(const Command& command, absl::Span<const std::string> words) {
  std::vector<std::string> flags = command.flags;
  flags.insert(flags.end(), std::begin(kLogFlags), std::end(kLogFlags));
  const std::string who = absl::StrCat("spillway ", command.name);
  const absl::StatusOr<std::vector<std::string>> arguments = ReadFlags(words, flags);
  absl::Status status = arguments.status();
  if (status.ok()) status = command.run(*arguments);
  if (status.ok() && std::fflush(stdout) != 0)
    status = absl::UnknownError("cannot write to standard output");
  if (status.ok()) return 0;
  if (absl::IsInvalidArgument(status)) {
    PrintError(who,
               absl::StrCat(status.message(), " (`spillway help ", command.name, "` tells more)"));
    return kExitUsage;
  }
  PrintError(who, status.message());
  return kExitFailure;
}

bool AsksForHelp(const std::string& word) {
  return word == "--help" || word == "-h" || word == "-help";
}

int Main(int argc, char** argv) {
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  if (words.empty()) {
    PrintError("spillway", "which command? `spillway help` lists them");
    return kExitUsage;
  }
  std::string name = words[0];
  if (AsksForHelp(name)) name = "help";
  if (name == "--version") name = "version";
  const Command* command = FindCommand(name);
  if (command == nullptr) {
    std::vector<std::string> names;
    for (const Command& known : Commands()) names.push_back(known.name);
    const std::string nearest = Nearest(name, names);
    PrintError("spillway",
               absl::StrCat("there is no command '", name, "'",
                            nearest.empty() ? "; `spillway help` lists them"
                                            : absl::StrCat("; did you mean '", nearest, "'?")));
    return kExitUsage;
  }
  words.erase(words.begin());
  for (const std::string& word : words) {
    if (word == "--") break;
    if (AsksForHelp(word)) return RunCommand(*FindCommand("help"), {command->name});
  }
  return RunCommand(*command, words);
}

// Logs are for whoever debugs, and go to standard error when asked for; an error's own line says
// what the caller must know.
void SetUpLogs(const char* program) {
  FLAGS_logtostderr = true;
  FLAGS_minloglevel = google::GLOG_FATAL;
  google::InitGoogleLogging(program);
}

}  // namespace

absl::Span<const Command> Commands() {
  static const std::vector<Command>* const commands = MakeCommands();
  return *commands;
}

const Command* FindCommand(const std::string& name) {
  for (const Command& command : Commands()) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

}  // namespace spillway

int main(int argc, char** argv) {
  spillway::SetUpLogs(argv[0]);
  // A reader that goes away is an error of the write like any other.
  std::signal(SIGPIPE, SIG_IGN);
  spillway::Interruption::Install();
  const int exit_code = spillway::Main(argc, argv);
  spillway::Interruption::DieIfInterrupted();
  return exit_code;
}
