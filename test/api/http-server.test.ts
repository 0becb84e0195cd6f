import { request } from 'node:http';
import { connect } from 'node:net';
import { listen, ListenError, type HttpServer } from '../../src/api/http-server.js';

const servers: HttpServer[] = [];
const start = async (app: Parameters<typeof listen>[0]): Promise<HttpServer> => {
  const server = await listen(app, { host: '127.0.0.1', port: 0 });
  servers.push(server);
  return server;
};
afterEach(() => Promise.all(servers.splice(0).map((server) => server.close(0))));

/** Everything that a raw connection gets back until it is closed. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket
      .on('data', (chunk) => {
        answer += chunk.toString();
      })
      .on('end', () => socket.end())
      .on('close', () => resolve(answer))
      .on('error', reject);
  });
}

describe('HTTP server', () => {
  it('says which port is taken', async () => {
    const { port } = await start((_req, res) => res.end());
    const second = listen((_req, res) => res.end(), { host: '127.0.0.1', port });
    await expect(second).rejects.toThrow(ListenError);
    await expect(second).rejects.toThrow(`port ${port} on 127.0.0.1 is taken`);
  });

  it.each([
    ['no HTTP at all', 'hello\r\n\r\n', 400],
    ['a forged length', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
    ['a NUL in a header', 'GET / HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n', 400],
    ['headers of 20 KB', `GET / HTTP/1.1\r\nHost: x\r\nX-A: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
  ])('answers %s with a problem and goes on', async (_what, text, status) => {
    const { port, url } = await start((_req, res) => res.end('fine'));
    const answer = await raw(port, text);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer).toContain('application/problem+json');
    expect(answer).toMatch(/X-Request-Id: (req_[\w-]+)\r\n[^]*"requestId":"\1"/);
    expect((await fetch(url)).status).toBe(200);
  });

  it('hangs up on CONNECT, also where something takes upgrades', async () => {
    const { port, url } = await listen((_req, res) => res.end('fine'), {
      host: '127.0.0.1',
      port: 0,
      onUpgrade: (_req, socket) => socket.end('up'),
    }).then((server) => (servers.push(server), server));
    expect(await raw(port, 'CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n')).toBe('');
    expect((await fetch(url)).status).toBe(200);
  });

  it('answers requests that offer HTTP/2 like all others, and hands over those that ask for a WebSocket', async () => {
    const handed: string[] = [];
    const server = await listen(
      (req, res) => {
        let body = '';
        req.on('data', (chunk: Buffer) => (body += chunk.toString())).on('end', () => res.end(`${req.method} ${body}`));
      },
      {
        host: '127.0.0.1',
        port: 0,
        onUpgrade: (req, socket) => {
          handed.push(req.url ?? '');
          socket.end("HTTP/1.1 418 I'm a teapot\r\n\r\n");
        },
      },
    );
    servers.push(server);
    const head = (method: string, path: string, protocol: string) =>
      `${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: ${protocol}\r\n`;
    expect(await raw(server.port, `${head('POST', '/a', 'h2c')}Content-Length: 5\r\n\r\nhello`)).toMatch(/^HTTP\/1.1 200 [^]*POST hello/);
    expect(await raw(server.port, `${head('GET', '/b', 'h2c')}\r\n`)).toMatch(/^HTTP\/1.1 200 /);
    expect(await raw(server.port, `${head('GET', '/ws', 'WebSocket')}\r\n`)).toMatch(/^HTTP\/1.1 418 /);
    expect(handed).toEqual(['/ws']);
  });

  it('lets a request under way end, takes no new one, and then closes', async () => {
    let finish: (() => void) | undefined;
    let arrive: (() => void) | undefined;
    const arrived = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    const server = await start((_req, res) => {
      finish = () => res.end('done');
      arrive?.();
    });
    const answer = fetch(server.url).then((response) => response.text());
    await arrived;
    const closed = server.close(5_000);
    await expect(fetch(server.url)).rejects.toThrow('fetch failed');
    finish?.();
    expect(await answer).toBe('done');
    await closed;
  });

  it('cuts off what does not end in time', async () => {
    const server = await start(() => undefined);
    const outgoing = request({ port: server.port, host: '127.0.0.1', agent: false }).end();
    const cut = new Promise((resolve) => outgoing.once('error', resolve));
    await new Promise((resolve) => outgoing.once('socket', (socket) => socket.once('connect', resolve)));
    await server.close(20);
    expect(await cut).toMatchObject({ code: 'ECONNRESET' });
  });
});
