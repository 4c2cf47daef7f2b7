// The version of Spillway, as `spillway version` prints it.
#ifndef SPILLWAY_TOOLS_SPILLWAY_VERSION_H_
#define SPILLWAY_TOOLS_SPILLWAY_VERSION_H_

namespace spillway {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace spillway

#endif  // SPILLWAY_TOOLS_SPILLWAY_VERSION_H_
