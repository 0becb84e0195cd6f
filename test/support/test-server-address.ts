/** Asks the process that global setup opened for one of the run's servers; the first to ask waits for its start. */
export async function testServer<T>(name: 'postgres' | 'temporal'): Promise<T> {
  const base = process.env['SIGNALBOX_TEST_SERVERS'];
  if (base === undefined) throw new Error('no test servers: this file must lie in the jest project "service"');
  const response = await fetch(`${base}/${name}`);
  if (!response.ok) throw new Error(`the test ${name} did not start: ${await response.text()}`);
  return (await response.json()) as T;
}
