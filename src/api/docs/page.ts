/** The readable API page, from files of swagger-ui-dist alone: it works without the network. */
import { createReadStream, statSync } from 'node:fs';
import path from 'node:path';
import type { Express, Request, Response } from 'express';
import { AppError } from '../../errors.js';

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Signalbox API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<div id="api"></div>
<noscript>This page needs JavaScript. The document itself is at <a href="/openapi.json">/openapi.json</a>.</noscript>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;

/** `validatorUrl: null`: the badge would be fetched from outside. */
const START = `window.ui = SwaggerUIBundle({ url: '/openapi.json', dom_id: '#api', deepLinking: true, validatorUrl: null, persistAuthorization: false, tryItOutEnabled: true });
`;

const FILES = { 'swagger-ui.css': 'text/css; charset=utf-8', 'swagger-ui-bundle.js': 'text/javascript; charset=utf-8' } as const;

/** Registers `/docs` and the three files that it loads, and leads whoever opens the address by itself there. */
export function registerDocsPage(app: Express): void {
  app.get('/', (_req, res) => res.redirect(302, '/docs'));
  app.get('/docs', (_req, res) => sendText(res, 'text/html; charset=utf-8', PAGE));
  app.get('/docs/start.js', (_req, res) => sendText(res, 'text/javascript; charset=utf-8', START));
  const folder = path.dirname(require.resolve('swagger-ui-dist/package.json'));
  for (const [name, type] of Object.entries(FILES)) app.get(`/docs/${name}`, (_req, res) => sendFile(res, type, path.join(folder, name)));
  app.all(['/', '/docs', '/docs/start.js', ...Object.keys(FILES).map((name) => `/docs/${name}`)], refuseMethod);
}

function refuseMethod(req: Request): never {
  throw new AppError('method_not_allowed', `${req.path} takes GET, HEAD, not ${req.method}`, { allow: ['GET', 'HEAD'] });
}

function sendText(res: Response, type: string, text: string): void {
  res.writeHead(200, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) });
  res.end(text);
}

function sendFile(res: Response, type: string, file: string): void {
  res.writeHead(200, { 'Content-Type': type, 'Content-Length': statSync(file).size, 'Cache-Control': 'public, max-age=3600' });
  createReadStream(file)
    .on('error', () => res.destroy())
    .pipe(res);
}
