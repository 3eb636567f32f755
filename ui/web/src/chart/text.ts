/** The words around charts. */
export const text = {
  asTable: 'As a table',
  cut: (shown: number, all: number) => `The first ${shown} of ${all} rows.`,
  loading: 'Drawing…',
  moment: (chart: string) => `${chart}: moment`,
  at: (time: string) => `at ${time}`,
  nothing: 'nothing',
  requestsACell: 'Requests in a cell',
};
