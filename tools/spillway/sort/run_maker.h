// The first half of a sort: makes sorted runs of the input, on several threads.
#ifndef SPILLWAY_TOOLS_SPILLWAY_SORT_RUN_MAKER_H_
#define SPILLWAY_TOOLS_SPILLWAY_SORT_RUN_MAKER_H_

#include <vector>

#include "absl/status/statusor.h"
#include "tools/spillway/sort/external_sort.h"
#include "tools/spillway/sort/run.h"
#include "tools/spillway/sort/run_writer.h"

namespace spillway::sort {

// Reads `source` to its end. Each of plan.workers threads has a block: it fills it, which they do
// in turns, sorts it and writes it as a run, which they do side by side. Errors as SortText.
absl::StatusOr<std::vector<Run>> MakeRuns(TextSource* source, const SortPlan& plan,
                                          RunWriterContext* context, SortProgress* progress);

}  // namespace spillway::sort

#endif  // SPILLWAY_TOOLS_SPILLWAY_SORT_RUN_MAKER_H_
