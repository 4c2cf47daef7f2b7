// Where real traces are: the folder that --trace_dir or SPILLWAY_TRACE_DIR names. For tests that
// cannot bring their input along.
#ifndef SPILLWAY_TESTS_STORE_POLICIES_TRACE_DIR_H_
#define SPILLWAY_TESTS_STORE_POLICIES_TRACE_DIR_H_

#include <cstdint>
#include <string>

namespace spillway {

// Looks for --trace_dir=DIR and --traces=small|large|all; other arguments are not ours.
void ParseTraceArguments(int argc, char** argv);

// Empty if nobody named one.
std::string TraceDir();

// Whether traces of this many requests were asked for.
bool WantsTraceOf(uint64_t requests);

}  // namespace spillway

#endif  // SPILLWAY_TESTS_STORE_POLICIES_TRACE_DIR_H_
