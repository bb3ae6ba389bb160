// Declares what the bundler gives that the compiler does not know.

declare module "*.css";
