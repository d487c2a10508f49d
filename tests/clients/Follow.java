// Follows a stream with the JDK's own client, with the options that it has by itself: it offers to go
// on in HTTP/2 with its request. Prints each line as it comes.

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;

class Follow {
  public static void main(String[] arguments) throws Exception {
    var request = HttpRequest.newBuilder(URI.create(arguments[0])).build();
    var response = HttpClient.newHttpClient().send(request, BodyHandlers.ofLines());
    System.out.println(response.statusCode() + " " + response.version());
    response.body().forEach(System.out::println);
  }
}
