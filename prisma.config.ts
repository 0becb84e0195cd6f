import { defineConfig } from 'prisma/config';

// For `prisma migrate deploy` by hand. The service applies the same migrations at its start (src/store/migrate.ts).
export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
  datasource: { url: process.env['DATABASE_URL'] ?? 'postgresql://localhost/signalbox' },
});
