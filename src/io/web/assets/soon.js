/** Runs `work` soon, and once for many calls in a row. */
export const soon = (work, wait = 80) => {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, wait);
  };
};
