mod tls;
mod together;
