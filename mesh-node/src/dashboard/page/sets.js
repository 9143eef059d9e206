// The sets of agents that an autoscaler keeps.

function showSets() {
  byId("sets-part").hidden = !board.sets.length;
  const head = [["set", "left"], "bounds", "wants", "ready", "starting", "draining", ["what it does", "left"],
    ["autoscaler", "left"]];
  fillTable(byId("sets"), head, board.sets.map((set) => {
    const isSilent = set.silent_ms > 3 * set.period_ms;
    const says = set.problem ? [set.problem, "left bad"] : [set.latest || "nothing yet", "left"];
    return { name: isSilent ? "stale" : "", cells: [[set.set, "left"], `${set.min} to ${set.max}`,
      String(set.desired), String(set.ready), String(set.starting), String(set.draining), says,
      [isSilent ? `not heard for ${time(set.silent_ms)}` : set.holder, "left"]] };
  }), "no sets");
  const decisions = board.sets.flatMap((set) => set.decisions.map((one) => ({ ...one, set: set.set })));
  decisions.sort((one, other) => one.age_ms - other.age_ms);
  fillTable(byId("decisions"), ["when", ["set", "left"], ["what, and why", "left"]],
    decisions.map((one) => ({ name: "", cells: [ago(board.heard - one.age_ms), [one.set, "left"],
      [one.text, "left"]] })), "nothing was changed yet");
}
