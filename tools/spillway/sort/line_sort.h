// Sorts lines by their bytes, as unsigned numbers, a line before those that it is the start of: the
// order of `LC_ALL=C sort`.
//
// Most significant digit radix sort in place ("American flag": McIlroy, Bostic, McIlroy,
// Engineering Radix Sort, 1993) on eight bytes of each line that are cached beside its place, so
// that the text itself is read once per eight bytes of common prefix (the idea of Ng and Kakehi,
// Cache Efficient Radix Sort for String Sorting, 2007). Small groups are sorted by comparison.
//
// Thread-safety: functions without state.
#ifndef SPILLWAY_TOOLS_SPILLWAY_SORT_LINE_SORT_H_
#define SPILLWAY_TOOLS_SPILLWAY_SORT_LINE_SORT_H_

#include "absl/types/span.h"
#include "tools/spillway/sort/line_block.h"

namespace spillway::sort {

// Sorts entries that are fresh from a LineBlock over `text`; eight bytes behind every line must be
// readable. Keys are undefined afterwards. Equal lines come out in any order. Needs no memory but
// stack: at most log2(lines) frames of 4 KiB.
void SortLines(const char* text, absl::Span<LineEntry> lines);

}  // namespace spillway::sort

#endif  // SPILLWAY_TOOLS_SPILLWAY_SORT_LINE_SORT_H_
