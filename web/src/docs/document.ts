/** As much of an OpenAPI document (https://spec.openapis.org/oas/v3.0.3) as this page shows. */
export interface Document {
  info: { title: string; version: string; description?: string };
  paths: Record<string, { post: Operation }>;
  components: { schemas: Record<string, Schema> };
}

export interface Operation {
  operationId: string;
  summary: string;
  description: string;
  parameters: Parameter[];
  requestBody: { description?: string; content: Record<string, { schema: Schema }> };
  responses: Record<string, Response>;
}

export interface Parameter {
  name: string;
  description?: string;
  schema: Schema;
}

export interface Response {
  description: string;
  content: Record<string, { schema: Schema; examples?: Record<string, { summary: string; value: unknown }> }>;
}

export interface Schema {
  $ref?: string;
  type?: string;
  description?: string;
  enum?: (string | number)[];
  default?: string;
  maxLength?: number;
  required?: string[];
  properties?: Record<string, Schema>;
  items?: Schema;
  oneOf?: Schema[];
  allOf?: Schema[];
  example?: unknown;
}

export const JSON_TYPE = "application/json";

/** The schema that is meant where one only refers to it. */
export function resolved(schema: Schema, document: Document): Schema {
  const name = schema.$ref?.split("/").pop();
  const one = schema.allOf?.length === 1 ? schema.allOf[0] : undefined;
  if (name !== undefined) {
    return document.components.schemas[name] ?? {};
  }
  return one ? { ...resolved(one, document), ...(schema.description && { description: schema.description }) } : schema;
}

/** What a value may be, in a few words. */
export function kind(schema: Schema, document: Document): string {
  const own = resolved(schema, document);
  if (own.oneOf) {
    return own.oneOf.map((choice) => kind(choice, document)).join(" or ");
  }
  const words = [own.type ?? "any"];
  if (own.maxLength !== undefined) {
    words.push(`at most ${own.maxLength} characters`);
  }
  if (own.enum && own.enum.length < 5) {
    words.push(own.enum.join(", "));
  }
  return words.join(", ");
}

/** Every example of an answer: its HTTP status, what it is about, and the answer. */
export function examples(operation: Operation): { status: string; summary: string; value: unknown }[] {
  return Object.entries(operation.responses).flatMap(([status, { content }]) =>
    Object.values(content[JSON_TYPE]?.examples ?? {}).map(({ summary, value }) => ({ status, summary, value })),
  );
}
