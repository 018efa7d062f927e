// Guides before the reference: whoever searches for a word wants to read about it first.
var Scorer = {
  score: (result) => {
    const [page, , , , score] = result;
    const isReference = page.startsWith("api/") || page === "api" || page === "changelog";
    return isReference ? score : score + 20;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
